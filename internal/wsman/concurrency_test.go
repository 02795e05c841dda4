package wsman_test

import (
	"fmt"
	"sync"
	"testing"
)

// TestConcurrency has callers do everything at once.
func TestConcurrency(t *testing.T) {
	w := newWorld(20)
	s := server(t, w, nil)
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			user := fmt.Sprintf("user%d", caller)
			for round := range 30 {
				if got := sendAs(t, s, user, get(wmi+"Test_Pack", "PackId=2").String()); got.status != 200 {
					t.Errorf("Get: %s", got.raw)
				}
				body := fmt.Sprintf("<Test_Pack><Description>%s %d</Description></Test_Pack>", user, round)
				if got := sendAs(t, s, user, put(dmtf+"Test_Pack", fmt.Sprintf("PackId=%d", caller+3), body).String()); got.status != 200 {
					t.Errorf("Put: %s", got.raw)
				}
				if got := sendAs(t, s, user, call(wmi+"Test_Pack", "Entries", "PackId=2", "").String()); got.text("Body/Entries_OUTPUT/ReturnValue") != "0" {
					t.Errorf("Invoke: %s", got.raw)
				}
				if got := sendAs(t, s, user, get(wmi+"Test_Pack", "PackId=900").String()); got.status != 500 {
					t.Errorf("panic: %s", got.raw)
				}
				got := sendAs(t, s, user, enumerate(wmi+"Test_Pack", "", ""))
				_, context, end := got.items(t)
				count := 0
				for !end {
					if count > 10 && round%3 == 0 {
						sendAs(t, s, user, releaseMessage(context))
						break
					}
					var found []*node
					found, context, end = sendAs(t, s, user, pull(context, "<n:MaxElements>7</n:MaxElements>")).items(t)
					count += len(found)
				}
				if end && count != 20 {
					t.Errorf("%d items", count)
				}
			}
		})
	}
	wg.Wait()
	if w.started.Load() != w.ended.Load() {
		t.Errorf("%d sequences begun, %d ended", w.started.Load(), w.ended.Load())
	}
}
