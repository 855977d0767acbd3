package activity

import "testing"

// sample is an ordinary record of the size that producers send, 466 bytes.
const sample = `{"id":"evt_01HZX7Q0V6K3","producer":"app-service","type":"app.renamed","occurred_at":"2026-03-14T09:26:53.589Z","actor":{"type":"user","id":"u_1842","name":"Dana Reyes","email":"dana.reyes@example.com"},"object":{"type":"app","id":"app_77","name":"Line 4 QA"},"source":"web","context":{"ip":"203.0.113.9","user_agent":"Mozilla/5.0 (X11; Linux x86_64)","session_id":"s_9f2b8d41c0a7"},"outcome":"success","data":{"previous_name":"Line 4 QC","new_name":"Line 4 QA v2"}}`

func BenchmarkScan(b *testing.B) {
	body := []byte(sample)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var k Keys
	for b.Loop() {
		if r := Scan(body, &k); r != nil {
			b.Fatal(r)
		}
	}
}

func BenchmarkSplitVouched(b *testing.B) {
	body := AppendVouched(nil, Door{Grade: GradeVerified, Producer: "app-service", Subject: "app-service", RemoteAddr: "192.0.2.1:50211", RequestID: "q_81f"}, []byte(sample))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, r := SplitVouched(body); r != nil {
			b.Fatal(r)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(sample)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDescribe(b *testing.B) {
	r, err := Parse([]byte(sample))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Describe(r)
	}
}
