package sqlite

import "fmt"

// Check asks five questions: is every balance the sum of its postings; does every entry, and do the balances of every
// entitlement, sum to zero; is no balance negative that must not be; and is there everything that a row refers to.
func (r reader) Check() ([]string, error) {
	var wrong []string
	for _, check := range []struct {
		query string
		say   func(*row) string
	}{
		{`SELECT entitlement, product_type, holder, sum(kept), sum(counted) FROM (
				SELECT entitlement, product_type, holder, quantity AS kept, 0 AS counted FROM balances
				UNION ALL SELECT entitlement, product_type, holder, 0, delta FROM postings)
			GROUP BY entitlement, product_type, holder HAVING sum(kept) <> sum(counted)
			ORDER BY entitlement, product_type, holder`,
			func(r *row) string {
				return fmt.Sprintf("%s has the balance %d, but its postings sum to %d", describe(scanAccount(r)), r.int64(), r.int64())
			}},
		{`SELECT entry, entitlement, sum(delta) FROM postings
			GROUP BY entry, entitlement HAVING sum(delta) <> 0 ORDER BY entry, entitlement`,
			func(r *row) string {
				return fmt.Sprintf("the postings of entry %d to the entitlement %q sum to %+d, not to zero", r.int64(), r.text(), r.int64())
			}},
		{`SELECT entitlement, sum(quantity) FROM balances
			GROUP BY entitlement HAVING sum(quantity) <> 0 ORDER BY entitlement`,
			func(r *row) string {
				return fmt.Sprintf("the balances of the entitlement %q sum to %+d, not to zero", r.text(), r.int64())
			}},
		{`SELECT entitlement, product_type, holder, quantity FROM balances
			WHERE quantity < 0 AND holder <> 'sold' ORDER BY entitlement, product_type, holder`,
			func(r *row) string {
				return fmt.Sprintf("%s has the negative balance %d", describe(scanAccount(r)), r.int64())
			}},
		{`SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY "table", parent ORDER BY "table", parent`,
			func(r *row) string {
				return fmt.Sprintf("rows of the table %s refer to rows of %s that are not there: %d of them", r.text(), r.text(), r.int64())
			}},
	} {
		found, err := all(r, "check", check.query, check.say)
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, found...)
	}
	return wrong, nil
}
