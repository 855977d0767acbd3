package imports

import (
	"bytes"
	"fmt"

	"annals/activity"
)

// readNative reads JSON lines of records, each as it stands. Of what is longer than a
// record nothing is kept.
func readNative(t *tape, s *sink) error {
	for {
		from := t.base
		place := t.at(from)
		end, long := t.toLineEnd(from)
		if end == from {
			if err := t.failed(); err != nil {
				return fmt.Errorf("%d:1: %w", t.line, err)
			}
			return nil
		}
		it := &Item{Place: place, Size: end - from}
		var err error
		if long {
			err = s.refuse(it, &Refusal{Code: activity.CodeRecordTooLarge.String(), Detail: "the line is longer than a record may be"})
		} else {
			it.Raw = bytes.TrimSuffix(bytes.TrimSuffix(t.cut(from, end), []byte{'\n'}), []byte{'\r'})
			if len(bytes.Trim(it.Raw, " \t\r\n")) > 0 { // JSON's white space, and no other
				err = s.native(it)
			}
		}
		if err != nil {
			return err
		}
		t.release(end)
	}
}
