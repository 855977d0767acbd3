package query

import "net/http"

// record answers one entry by its ULID, with what amends it.
func (a *API) record(w http.ResponseWriter, r *http.Request, f *filter) error {
	leaf, hash, err := a.entryOf(f)
	if err != nil {
		return err
	}
	amended, err := a.amendments(r.Context(), f, leaf.Entry.Index)
	if err != nil {
		return err
	}
	if current(w, r, a.recordTag(f, hash, amended)) {
		return nil
	}
	buffer := buffers.get()
	defer buffers.put(buffer)
	it := newItem(a, f)
	b, err := it.append((*buffer)[:0], &leaf, hash)
	if err == nil && len(amended.indexes) > 0 {
		b, err = amended.append(b[:len(b)-1], it, &leaf) // within the brace
	}
	*buffer = b
	if err != nil {
		return err
	}
	return write(w, jsonMedia, b)
}
