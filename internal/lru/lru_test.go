package lru_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"calkeeper/internal/lru"
)

// TestMap holds the map against a list of keys, the one that was used last in front.
func TestMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(t, "most")
		l, values := lru.New[int](most), map[string]int{}
		var recent []string
		for i := range rapid.IntRange(0, 50).Draw(t, "steps") {
			key := rapid.StringMatching(`[a-h]`).Draw(t, "key")
			n := slices.Index(recent, key)
			known := n >= 0
			if known {
				recent = slices.Delete(recent, n, n+1)
			}
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				*l.Add(key) = i
				values[key] = i
				recent = slices.Insert(recent, 0, key)
				recent = recent[:min(most, len(recent))]
			case 1:
				l.Remove(key)
			case 2:
				if v := l.Get(key); (v != nil) != known || known && *v != values[key] {
					t.Fatalf("%s is %v; want it: %v, %d", key, v, known, values[key])
				}
				if known {
					recent = slices.Insert(recent, 0, key)
				}
			}
			if l.Len() != len(recent) {
				t.Fatalf("there are %d entries; want %d", l.Len(), len(recent))
			}
		}
	})
}
