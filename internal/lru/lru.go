// Package lru is a map with a bound.
package lru

import "container/list"

// Map is a map with a bound: what is beyond it takes the place of what was not used for longest. It is not safe for concurrent use.
type Map[V any] struct {
	most    int
	entries map[string]*list.Element
	recent  list.List // of *entry[V], the one that was used last in front
}

type entry[V any] struct {
	key   string
	value V
}

// New returns a map of at most so many entries, one at least.
func New[V any](most int) *Map[V] { return &Map[V]{most: most, entries: map[string]*list.Element{}} }

// Len returns how many entries there are.
func (m *Map[V]) Len() int { return len(m.entries) }

// Get returns the value, nil if there is none. The caller may change it.
func (m *Map[V]) Get(key string) *V {
	e := m.entries[key]
	if e == nil {
		return nil
	}
	m.recent.MoveToFront(e)
	return &e.Value.(*entry[V]).value
}

// Add returns the value, a zero one if there was none.
func (m *Map[V]) Add(key string) *V {
	if v := m.Get(key); v != nil {
		return v
	}
	if len(m.entries) >= m.most {
		delete(m.entries, m.recent.Remove(m.recent.Back()).(*entry[V]).key)
	}
	e := &entry[V]{key: key}
	m.entries[key] = m.recent.PushFront(e)
	return &e.value
}

// Remove takes an entry away, if it is there.
func (m *Map[V]) Remove(key string) {
	if e := m.entries[key]; e != nil {
		m.recent.Remove(e)
		delete(m.entries, key)
	}
}
