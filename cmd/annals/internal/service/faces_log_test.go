package service

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

const logPath = "/backend/api/v1/userActivityLog/"

// askLog puts a request that has to be answered with 200, and reads the answer.
func askLog(t testing.TB, method, url string, body []byte, into any) http.Header {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return nil
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", res.StatusCode, b)
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Errorf("%s %s: %v", method, url, err)
	}
	return res.Header
}

type logRow struct {
	ID             string `json:"id"`
	User           string `json:"user"`
	ActivityReason string `json:"activityReason"`
	ActivityOn     string `json:"activityOn"`
}

type recordedItem struct {
	Items []struct {
		ULID  string `json:"ulid"`
		Index uint64 `json:"index"`
	} `json:"items"`
}

// TestLogPolled polls the log for what is behind the last id while several write, in two
// workspaces: ids ascend, and nothing is missing, and nothing comes twice. It is polled
// by a filter that the indexes have, and by one that is read out of the entries.
func TestLogPolled(t *testing.T) {
	s := mustStart(t, options(filepath.Join(t.TempDir(), "data")))
	const writers, each = 4, 60
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				workspace := "default"
				if i%6 == 5 {
					workspace = "other"
				}
				reason := "odd"
				if i%2 == 0 {
					reason = "even"
				}
				body := fmt.Sprintf(`{"id":"%d-%d","type":"a.b","actor":{"type":"user","id":"u%d"},"object":{"type":"o","id":"%d-%d"},"reason":{"code":%q}}`, w, i, w, w, i, reason)
				var out recordedItem
				askLog(t, "POST", s.URL()+"/v1/workspaces/"+workspace+"/records?wait=recorded", []byte(body), &out)
			}
		})
	}
	want := map[string]int{"": 0, "&user=u1": 0, "&activityReason=even": 0}
	for i := range each {
		if i%6 == 5 {
			continue
		}
		want[""] += writers
		want["&user=u1"]++
		if i%2 == 0 {
			want["&activityReason=even"] += writers
		}
	}
	var polling sync.WaitGroup
	for filter, n := range want {
		polling.Go(func() {
			after, seen := uint64(0), map[string]bool{}
			for late := time.Now().Add(time.Minute); len(seen) < n && time.Now().Before(late) && !t.Failed(); {
				var rows []logRow
				askLog(t, "GET", s.URL()+logPath+"?limit=7&idAfter="+strconv.FormatUint(after, 10)+filter, nil, &rows)
				for _, r := range rows {
					id, err := strconv.ParseUint(r.ID, 10, 64)
					if err != nil || id <= after || seen[r.ActivityOn] {
						t.Errorf("%s: after %d comes %+v (%v)", filter, after, r, err)
						return
					}
					after, seen[r.ActivityOn] = id, true
				}
			}
			if len(seen) != n {
				t.Errorf("%s: %d were seen of %d", filter, len(seen), n)
			}
		})
	}
	polling.Wait()
	writing.Wait()
	var rest []logRow
	header := askLog(t, "GET", s.URL()+logPath+"?limit=1000", nil, &rest)
	if len(rest) != want[""] || header.Get("Link") != "" {
		t.Errorf("at last there are %d, want %d; Link %q", len(rest), want[""], header.Get("Link"))
	}
	// Without limit 100 come, and the way on.
	header = askLog(t, "GET", s.URL()+logPath, nil, &rest)
	if len(rest) != 100 || header.Get("Link") != "<"+logPath+"?idAfter="+rest[99].ID+`>; rel="next"` {
		t.Errorf("%d come, Link %q", len(rest), header.Get("Link"))
	}
}

// TestLogUpdated: an entry that is amended comes again by updatedSince, under its old id.
func TestLogUpdated(t *testing.T) {
	s := mustStart(t, options(filepath.Join(t.TempDir(), "data")))
	post := func(path, body string) (ulid string, index uint64) {
		t.Helper()
		var out recordedItem
		askLog(t, "POST", s.URL()+path+"?wait=recorded", []byte(body), &out)
		if len(out.Items) != 1 {
			t.FailNow()
		}
		return out.Items[0].ULID, out.Items[0].Index
	}
	const records = "/v1/workspaces/default/records"
	first, firstIndex := post(records, `{"id":"1","type":"a.b","actor":{"type":"user","id":"u"}}`)
	_, _ = post(records, `{"id":"2","type":"a.b","actor":{"type":"user","id":"u"}}`)
	since := time.Now().Add(time.Millisecond).UTC().Format(time.RFC3339Nano)
	poll := func() (rows []logRow) {
		askLog(t, "GET", s.URL()+logPath+"?updatedSince="+since, nil, &rows)
		return rows
	}
	if rows := poll(); len(rows) != 0 {
		t.Fatalf("updated before it was: %+v", rows)
	}
	// The first amendment may be recorded within the same millisecond; one will not.
	var rows []logRow
	for n := 1; len(rows) == 0 && n < 1000; n++ {
		post(records+"/"+first+"/amendments", fmt.Sprintf(`{"id":"a%d","actor":{"type":"user","id":"u"},"reason":{"code":"typo"}}`, n))
		rows = poll()
	}
	if len(rows) < 2 || rows[0].ID != strconv.FormatUint(firstIndex, 10) || rows[1].ActivityReason != "typo" {
		t.Errorf("after the amendment: %+v, want entry %d and the amendment", rows, firstIndex)
	}
	for _, r := range rows[1:] {
		if r.ActivityReason != "typo" {
			t.Errorf("what was not updated is there: %+v", r)
		}
	}
}
