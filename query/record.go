package query

import "net/http"

// record answers one entry by its ULID.
func (a *API) record(w http.ResponseWriter, r *http.Request, f *filter) error {
	leaf, hash, err := a.entryOf(f)
	if err != nil {
		return err
	}
	if current(w, r, a.recordTag(f, hash)) {
		return nil
	}
	buffer := buffers.get()
	defer buffers.put(buffer)
	*buffer, err = newItem(a, f).append((*buffer)[:0], &leaf, hash)
	if err != nil {
		return err
	}
	return write(w, jsonMedia, *buffer)
}
