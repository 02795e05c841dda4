package auth

// Slots bounds how many passwords are hashed at once.
func (a *Accounts) Slots() chan struct{} { return a.busy }
