package accounts

import "container/list"

// lru is a map with a bound: what is beyond it takes the place of what was not used for longest.
type lru[V any] struct {
	most    int
	entries map[string]*list.Element
	recent  list.List // of *entry[V], the one that was used last in front
}

type entry[V any] struct {
	key   string
	value V
}

func newLRU[V any](most int) *lru[V] { return &lru[V]{most: most, entries: map[string]*list.Element{}} }

// get returns the value, nil if there is none.
func (l *lru[V]) get(key string) *V {
	e := l.entries[key]
	if e == nil {
		return nil
	}
	l.recent.MoveToFront(e)
	return &e.Value.(*entry[V]).value
}

// add returns the value, a zero one if there was none.
func (l *lru[V]) add(key string) *V {
	if v := l.get(key); v != nil {
		return v
	}
	if len(l.entries) >= l.most {
		delete(l.entries, l.recent.Remove(l.recent.Back()).(*entry[V]).key)
	}
	e := &entry[V]{key: key}
	l.entries[key] = l.recent.PushFront(e)
	return &e.value
}

func (l *lru[V]) remove(key string) {
	if e := l.entries[key]; e != nil {
		l.recent.Remove(e)
		delete(l.entries, key)
	}
}
