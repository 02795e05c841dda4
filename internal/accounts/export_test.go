package accounts

// Bounds.
const (
	MaxRunning      = maxRunning
	MaxWaiting      = maxWaiting
	MaxWaitingOfOne = maxWaitingOfOne
	MaxGuesses      = maxGuesses
	SlowMemory      = 19 * 1024
)

// SetDerive replaces Argon2id: memory is in KiB.
func (s *Service) SetDerive(derive func(password string, salt []byte, memory uint32) []byte) {
	s.derive = func(password string, salt []byte, c cost) []byte { return derive(password, salt, c.memory) }
}

// Waiting returns how many wait for their turn.
func (s *Service) Waiting() int {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return s.queue.waiting
}

// Idle tells whether the queue has forgotten all who were in it.
func (s *Service) Idle() bool {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return s.queue.waiting == 0 && len(s.queue.lines) == 0 && len(s.queue.running) == 0
}

// ParseHash returns what the text of a hash costs, in KiB and passes.
func ParseHash(text string) (again string, memory, time uint32, err error) {
	h, err := parseHash(text)
	return h.String(), h.memory, h.time, err
}

// Hash returns the hash of a password, as Set makes it.
func (s *Service) Hash(password string) string { return s.newHash(password, presentCost()) }

// Fits tells whether the password is that of a hash.
func (s *Service) Fits(hash, password string) (bool, error) { return s.fits(hash, password) }
