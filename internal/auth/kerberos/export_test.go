package kerberos

// LimitReplays makes the replay cache smaller.
func LimitReplays(s *Service, limit int) { s.replays.limit = limit }

// Replays returns how many authenticators are remembered.
func Replays(s *Service) int { return len(s.replays.seen) }
