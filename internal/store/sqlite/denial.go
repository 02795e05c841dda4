package sqlite

import (
	"fmt"
	"math"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

const (
	denialColumns = `at, host, user, device_id, device_name, product_version, product_type, reason, detail`

	selectDenials      = `SELECT seq, ` + denialColumns + ` FROM denial WHERE seq > ? ORDER BY seq LIMIT CAST(? AS INTEGER)`
	selectDenialCounts = `SELECT product_version, product_type, reason, count FROM denial_count
		ORDER BY product_version, product_type, reason`
	selectAnswer = `SELECT host, key, fingerprint, body, at FROM answer WHERE host = ? AND key = ?`

	insertDenial = `INSERT INTO denial (` + denialColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	countDenial  = `INSERT INTO denial_count (product_version, product_type, reason, count) VALUES (?, ?, ?, 1)
		ON CONFLICT (product_version, product_type, reason) DO UPDATE SET count = count + 1`
	putAnswer = `INSERT INTO answer (host, key, fingerprint, body, at) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (host, key) DO UPDATE SET (fingerprint, body, at) = (?3, ?4, ?5)`
	forgetAnswers = `DELETE FROM answer WHERE id IN (SELECT id FROM answer WHERE at < ? ORDER BY at LIMIT CAST(? AS INTEGER))`
	forgetDenials = `DELETE FROM denial WHERE seq IN (SELECT seq FROM denial WHERE at < ? ORDER BY at LIMIT CAST(? AS INTEGER))`
)

// Denials returns by ascending Seq at most limit denials whose Seq is greater than after, none for a limit below 1.
func (r *reader) Denials(after uint64, limit int) ([]licensing.Denial, error) {
	if limit < 1 || after > math.MaxInt64 {
		return nil, nil
	}
	var all []licensing.Denial
	err := r.rows(selectDenials, func(p *parameters) {
		p.integer(int64(after))
		p.integer(int64(limit))
	}, func(c *columns) {
		all = append(all, licensing.Denial{
			Seq: uint64(c.integer()), At: c.instant(), Host: c.text(), User: c.text(), Device: licensing.Device{ID: c.text(), Name: c.text()},
			ProductVersion: licensing.ProductVersion(c.uint32()), ProductType: licensing.ProductType(c.uint32()),
			Reason: licensing.DenialReason(c.text()), Detail: c.text(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the denials: %w", err)
	}
	return all, nil
}

// DenialCounts returns how often was refused what, by version, type and reason.
func (r *reader) DenialCounts() ([]store.DenialCount, error) {
	var all []store.DenialCount
	err := r.rows(selectDenialCounts, nil, func(c *columns) {
		all = append(all, store.DenialCount{
			ProductVersion: licensing.ProductVersion(c.uint32()), ProductType: licensing.ProductType(c.uint32()),
			Reason: licensing.DenialReason(c.text()), Count: uint64(c.integer()),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the counts of denials: %w", err)
	}
	return all, nil
}

// Answer returns what was answered under a session host's key, or a Fault of kind NotFound.
func (r *reader) Answer(host, key string) (store.Answer, error) {
	var a store.Answer
	found := false
	err := r.rows(selectAnswer, func(p *parameters) {
		p.text("Host", host)
		p.text("Key", key)
	}, func(c *columns) {
		a = store.Answer{Host: c.text(), Key: c.text(), Fingerprint: c.blob(), Body: c.blob(), At: c.instant()}
		found = true
	})
	if err != nil {
		return store.Answer{}, fmt.Errorf("read an answer: %w", err)
	}
	if !found {
		return store.Answer{}, licensing.Faultf(licensing.NotFound, "nothing was answered to %s under the key %q", host, key)
	}
	return a, nil
}

// InsertDenial stores a denial and counts it; d.Seq is not read.
func (t *tx) InsertDenial(d licensing.Denial) error {
	if _, err := t.change("insert a denial", insertDenial, func(p *parameters) {
		p.required("At", d.At)
		p.text("Host", d.Host)
		p.text("User", d.User)
		p.text("the device's ID", d.Device.ID)
		p.text("the device's name", d.Device.Name)
		p.integer(int64(d.ProductVersion))
		p.integer(int64(d.ProductType))
		p.text("Reason", string(d.Reason))
		p.text("Detail", d.Detail)
	}); err != nil {
		return err
	}
	_, err := t.change("count a denial", countDenial, func(p *parameters) {
		p.integer(int64(d.ProductVersion))
		p.integer(int64(d.ProductType))
		p.text("Reason", string(d.Reason))
	})
	return err
}

// PutAnswer keeps an answer in place of the one under the same host and key.
func (t *tx) PutAnswer(a store.Answer) error {
	_, err := t.change("put an answer", putAnswer, func(p *parameters) {
		p.text("Host", a.Host)
		p.text("Key", a.Key)
		p.blob(a.Fingerprint)
		p.blob(a.Body)
		p.required("At", a.At)
	})
	return err
}

// Forget removes at most limit answers and at most limit denials that are older, first the oldest, and returns how many.
func (t *tx) Forget(answers, denials time.Time, limit int) (int, error) {
	sum := 0
	for _, step := range []struct {
		what, query string
		before      time.Time
	}{
		{"forget answers", forgetAnswers, answers},
		{"forget denials", forgetDenials, denials},
	} {
		n, err := t.execute(step.what, step.query, func(p *parameters) {
			p.integer(step.before.UnixMicro())
			p.integer(int64(max(limit, 0)))
		})
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
