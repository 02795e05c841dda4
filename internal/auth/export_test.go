package auth

// Slots bounds how many passwords are hashed at once.
func (a *Accounts) Slots() chan struct{} { return a.busy }

// SetDerive replaces how passwords are hashed.
func (a *Accounts) SetDerive(derive func(password string, salt []byte, iterations int) ([]byte, error)) {
	a.derive = derive
}
