package restapi_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/restapi"
)

func TestRateOfOneClient(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { o.Limits.Rate, o.Limits.Burst = 0.5, 3 })
	for range 3 {
		h.ask(users, http.MethodGet, "/v1/server", "", http.StatusOK, nil)
	}
	h.refused(users, http.MethodGet, "/v1/server", "", http.StatusTooManyRequests, "limited", "too many requests came from "+users)
	if got := h.do(h.request(users, http.MethodGet, "/v1/server", "")).Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After is %q", got)
	}
	// Others have their own limit: another host, and an account whatever its name.
	h.ask(devices, http.MethodGet, "/v1/server", "", http.StatusOK, nil)
	h.ask(administrator, http.MethodGet, "/v1/server", "", http.StatusOK, nil)
	h.pass(2 * time.Second)
	h.ask(users, http.MethodGet, "/v1/server", "", http.StatusOK, nil)
	h.refused(users, http.MethodGet, "/v1/server", "", http.StatusTooManyRequests, "limited", "")
}

func TestFailedAuthentications(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { o.Limits.FailureRate, o.Limits.FailureBurst = 1, 3 })
	from := func(address, caller string) int {
		r := h.request(caller, http.MethodGet, "/v1/server", "")
		if caller == "wrong" {
			r.Header.Set("Authorization", "Bearer ckh_wrong")
		}
		r.RemoteAddr = address
		return h.do(r).Code
	}
	const near, far = "192.0.2.1:1000", "192.0.2.2:1000"
	for range 10 {
		if got := from(near, ""); got != http.StatusUnauthorized {
			t.Fatalf("to ask without credentials is no attempt: %d", got)
		}
	}
	for i, want := range []int{401, 401, 401, 429, 429} {
		if got := from(near, "wrong"); got != want {
			t.Errorf("attempt %d: %d, want %d", i, got, want)
		}
	}
	for _, c := range []struct {
		address, caller string
		want            int
	}{
		{near, administrator, 200}, {near, users, 200}, {"192.0.2.1:2000", "wrong", 429}, {"[::ffff:192.0.2.1]:1000", "wrong", 429}, {far, administrator, 200}, {far, "wrong", 401},
		{"[2001:db8::1]:1", "wrong", 401}, {"[2001:db8::2]:1", "wrong", 401}, {"[2001:db8::3]:1", "wrong", 401}, {"[2001:db8::4]:1", "wrong", 429},
		{"[2001:db8:0:1::1]:1", "wrong", 401},
	} {
		if got := from(c.address, c.caller); got != c.want {
			t.Errorf("%s from %s: %d, want %d", c.caller, c.address, got, c.want)
		}
	}
	h.pass(time.Second)
	if got := from(near, administrator); got != http.StatusOK {
		t.Errorf("a second later: %d", got)
	}
	if got := from(near, "wrong"); got != http.StatusUnauthorized {
		t.Errorf("a second later, wrong: %d", got)
	}
	if got := from(near, "wrong"); got != http.StatusTooManyRequests {
		t.Errorf("and then: %d", got)
	}
}

// TestManyClients: who was forgotten begins anew, and the table does not grow.
func TestManyClients(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { o.Limits.FailureBurst, o.Limits.Clients = 1, 100 })
	from := func(i int) int {
		r := h.request("", http.MethodGet, "/v1/server", "")
		r.Header.Set("Authorization", "Bearer ckh_wrong")
		r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i/256, i%256)
		return h.do(r).Code
	}
	for i := range 100 {
		if from(i) != http.StatusUnauthorized || from(i) != http.StatusTooManyRequests {
			t.Fatalf("address %d is not limited", i)
		}
	}
	from(0) // still tries
	for i := 100; i < 199; i++ {
		from(i)
	}
	// In this order: who begins anew takes the place of the one that was silent longest.
	for _, c := range []struct{ address, want int }{
		{198, http.StatusTooManyRequests}, {0, http.StatusTooManyRequests}, {1, http.StatusUnauthorized},
	} {
		if got := from(c.address); got != c.want {
			t.Errorf("address %d: %d, want %d", c.address, got, c.want)
		}
	}
	if n := restapi.Remembered(h.handler); n != 100 {
		t.Errorf("%d addresses are remembered", n)
	}
}

// TestForgottenClient: the one that was silent longest is forgotten, and not one that goes on asking too much.
func TestForgottenClient(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) {
		o.Limits = restapi.Limits{Rate: 0.001, Burst: 1, Clients: 2}
	})
	for i, c := range []struct {
		caller string
		want   int
	}{{users, 200}, {devices, 200}, {users, 429}, {farm, 200}, {users, 429}, {devices, 200}} {
		if got := h.do(h.request(c.caller, http.MethodGet, "/v1/server", "")).Code; got != c.want {
			t.Errorf("request %d, of %s: %d, want %d", i, c.caller, got, c.want)
		}
	}
}
