package proof

// Add adds to a settled report what was found beside the ledger after its audit,
// and draws the verdict anew.
func (r *Report) Add(found []Found, notices ...Notice) {
	f := newFindings(max(defaultFindings, len(r.Findings)))
	for _, list := range [][]Found{r.Findings, found} {
		for _, one := range list {
			f.put(one)
		}
	}
	f.total = r.Total + uint64(len(found))
	if r.FirstBad != nil && (f.first == nil || *r.FirstBad < *f.first) {
		f.first = r.FirstBad
	}
	f.notices = r.Notices
	for _, n := range notices {
		f.say(n)
	}
	r.settle(f)
}
