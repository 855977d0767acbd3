package natsconfig

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// may says what each user may publish, written out once more: what is generated must
// not be its own measure.
var may = map[string][]string{
	"ledger": {
		"activity.>", "vouched.>", "annals.control.>", "annals.replica.*", "annals.head.*", "$SYS.REQ.SERVER.PING.JSZ",
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
		"$JS.API.STREAM.INFO.*", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.UPDATE.*", "$JS.API.STREAM.DELETE.*", "$JS.API.STREAM.PURGE.*",
		"$JS.API.STREAM.SNAPSHOT.*", "$JS.API.STREAM.RESTORE.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.STREAM.MSG.DELETE.*", "$JS.API.STREAM.LEADER.STEPDOWN.*",
		"$JS.API.CONSUMER.CREATE.ANNALS", "$JS.API.CONSUMER.CREATE.ANNALS.>", "$JS.API.CONSUMER.INFO.ANNALS.*", "$JS.API.CONSUMER.NAMES.ANNALS",
		"$JS.API.CONSUMER.LIST.ANNALS", "$JS.API.CONSUMER.DELETE.ANNALS.*", "$JS.API.CONSUMER.MSG.NEXT.ANNALS.*",
		"$JS.SNAPSHOT.ACK.ANNALS.>", "$JS.SNAPSHOT.RESTORE.ANNALS.>",
	},
	"producer":      {"activity.>", "annals.api.record", "annals.api.record.*", "annals.api.receipt", "annals.api.receipt.*", "$SRV.>"},
	"producer-ws_7": {"activity.ws_7.>", "annals.api.record.ws_7", "annals.api.receipt.ws_7"},
	"producer-ws_8": {"activity.ws_8.>", "annals.api.record.ws_8", "annals.api.receipt.ws_8"},
	"door":          {"vouched.>"},
	"operator": {
		"annals.js.STREAM.NAMES", "annals.js.STREAM.LIST", "annals.js.STREAM.INFO.*", "annals.js.STREAM.LEADER.STEPDOWN.*",
		"annals.js.STREAM.PURGE.ANNALS_REPLICAS", "annals.js.STREAM.PURGE.ANNALS_HEADS",
		"annals.js.CONSUMER.NAMES.ANNALS", "annals.js.CONSUMER.LIST.ANNALS", "annals.js.CONSUMER.INFO.ANNALS.*",
	},
	"system": {
		"$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.STATSZ", "$SYS.REQ.SERVER.PING.VARZ", "$SYS.REQ.SERVER.PING.JSZ",
		"$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.SERVER.PING.ROUTEZ", "$SYS.REQ.SERVER.PING.HEALTHZ",
	},
	"anchor": {
		"$JS.API.INFO", "$JS.API.STREAM.INFO.KV_heads", "$JS.API.STREAM.MSG.GET.KV_heads", "$JS.API.DIRECT.GET.KV_heads", "$JS.API.DIRECT.GET.KV_heads.>", "$KV.heads.*",
	},
	"anchor-owner": {"$JS.API.>", "$KV.heads.*"},
}

func init() { may["ledger-b"] = may["ledger"] }

// outside are the users of other accounts than the stream's.
var outside = []string{"producer", "producer-ws_7", "producer-ws_8", "door", "operator", "system", "anchor", "anchor-owner"}

// matches reports whether a subject is one of a pattern's.
func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s) || token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

func allowed(user, subject string) bool {
	return slices.ContainsFunc(may[user], func(p string) bool { return matches(p, subject) })
}

// calls are all subjects of JetStream's that the server's source names, about the
// streams that there are: what a new version adds is tried too.
func calls(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/nats-io/nats-server/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "server", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the server's source: %v", err)
	}
	verb := regexp.MustCompile(`%[sd]`)
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			s, _ := strconv.Unquote(lit.Value)
			if !strings.HasPrefix(s, "$JS.") || strings.ContainsAny(s, " \t") || strings.HasSuffix(s, ".") {
				return true
			}
			s = verb.ReplaceAllString(s, "*")
			for _, stream := range []string{"ANNALS", "ANNALS_REPLICAS", "ANNALS_HEADS", "ANNALS_MIRROR"} {
				tokens := strings.Split(s, ".")
				named := false
				for i, token := range tokens {
					switch {
					case token != "*" && token != ">":
					case !named:
						tokens[i], named = stream, true
					default:
						tokens[i] = "c1"
					}
				}
				found[strings.Join(tokens, ".")] = true
			}
			return true
		})
	}
	var all []string
	for s := range found {
		all = append(all, s)
	}
	slices.Sort(all)
	for _, want := range []string{"$JS.API.STREAM.PURGE.ANNALS", "$JS.API.CONSUMER.MSG.NEXT.ANNALS.c1", "$JS.API.DIRECT.GET.ANNALS", "$JS.API.META.RESCUE", "$JS.API.ACCOUNT.PURGE.ANNALS"} {
		if !slices.Contains(all, want) {
			t.Fatalf("%s is not among the %d subjects that were found: the search is put wrongly", want, len(all))
		}
	}
	return all
}

// families are the other subjects: of the stream, beside it, of services, the
// system's, answers'.
var families = []string{
	"activity.ws_7.app.renamed", "activity.ws_8.app.renamed", "activity.ws_9.x", "vouched.ws_7.x", "vouched._system.x", "annals.control.genesis", "annals.control.trim",
	"annals.replica.a", "annals.head.a", "annals.api.record", "annals.api.record.ws_7", "annals.api.record.ws_8", "annals.api.receipt", "annals.api.receipt.ws_7",
	"annals.api.receipt.ws_8", "annals.api.control", "annals.api.record.ws_7.x", "$SRV.PING", "$SRV.INFO.annals", "$KV.heads.head", "$KV.other.head",
	"$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.JSZ", "$SYS.REQ.SERVER.PING.PROFILEZ", "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.SERVER.X.RELOAD", "$SYS.REQ.ACCOUNT.ANNALS.JSZ",
	"$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.USER.INFO", "_INBOX.somebody.else", "_R_.x.y", "anything",
	"annals.js.STREAM.INFO.ANNALS", "annals.js.STREAM.PURGE.ANNALS_REPLICAS", "annals.js.STREAM.PURGE.ANNALS", "annals.js.STREAM.DELETE.ANNALS", "annals.js.STREAM.MSG.GET.ANNALS",
	"annals.js.STREAM.MSG.DELETE.ANNALS", "annals.js.STREAM.UPDATE.ANNALS", "annals.js.STREAM.RESTORE.ANNALS", "annals.js.CONSUMER.CREATE.ANNALS", "annals.js.CONSUMER.MSG.NEXT.ANNALS.c1",
}

// heard is what users try to hear.
var heard = []string{
	">", "*", "activity.>", "vouched.>", "annals.>", "annals.api.>", "annals.replica.*", "$JS.>", "$JS.API.>", "$SYS.>", "_R_.>", "$KV.>", "$SRV.>", "_INBOX.>",
	"annals.api.record", "annals.js.>",
}

// state is what the streams hold, and which there are.
func state(t *testing.T, ledger *client) (text string) {
	t.Helper()
	js, err := jetstream.New(ledger.Conn)
	if err != nil {
		t.Fatal(err)
	}
	names := js.ListStreams(t.Context())
	var lines []string
	for info := range names.Info() {
		s, err := js.Stream(t.Context(), info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		full, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		st := full.State
		lines = append(lines, strings.Join([]string{
			info.Config.Name, strconv.FormatUint(st.FirstSeq, 10), strconv.FormatUint(st.LastSeq, 10), strconv.Itoa(st.NumDeleted), strconv.Itoa(st.Consumers),
			strings.Join(subjectsOf(st.Subjects), ","), strings.Join(full.Config.Subjects, ","),
		}, " "))
	}
	if err := names.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func subjectsOf(m map[string]uint64) (all []string) {
	for s, n := range m {
		all = append(all, s+"="+strconv.FormatUint(n, 10))
	}
	slices.Sort(all)
	return all
}

// TestPermissions publishes on every subject of JetStream's and of ours as every
// user: what the user has no business with is refused by the server, which says so,
// and all else is not. Nothing is asked for with a body that would do harm.
func TestPermissions(t *testing.T) { eachMode(t, permissions) }

func permissions(t *testing.T, o Options) {
	r := run(t, o, 1, nil)
	r.stream(t)
	all := append(calls(t), families...)
	t.Logf("%d subjects, %d users", len(all), len(may))
	for user := range may {
		c := r.connect(t, user)
		for _, subject := range all {
			// What no stream nor service can take for a request.
			if err := c.PublishRequest(subject, c.NewInbox(), []byte(`"harmless"`)); err != nil {
				t.Fatal(err)
			}
		}
		refused := c.refusals(t, "publish")
		for _, subject := range all {
			if got, want := refused(subject), !allowed(user, subject); got != want {
				t.Errorf("%s publishes on %s: refused %v, want %v", user, subject, got, want)
			}
		}
		for _, subject := range heard {
			if _, err := c.SubscribeSync(subject); err != nil {
				t.Fatal(err)
			}
		}
		refused = c.refusals(t, "subscription")
		for _, subject := range heard {
			ledger := strings.HasPrefix(user, "ledger")
			want := subject != "_INBOX.>" && !(ledger && (subject == "annals.api.record" || subject == "$SRV.>"))
			if got := refused(subject); got != want {
				t.Errorf("%s subscribes to %s: refused %v, want %v", user, subject, got, want)
			}
		}
	}
}

// TestStrangers: nobody gets in without a seed, nor with another's.
func TestStrangers(t *testing.T) { eachMode(t, strangers) }

func strangers(t *testing.T, o Options) {
	r, other := run(t, o, 1, nil), run(t, o, 1, nil)
	secret := nats.UserCredentials(CredsFile(other.dir, "ledger"))
	if !o.Operator {
		var err error
		if secret, err = nats.NkeyOptionFromSeed(SeedFile(other.dir, "ledger")); err != nil {
			t.Fatal(err)
		}
	}
	for name, o := range map[string][]nats.Option{
		"nobody": nil, "a name": {nats.UserInfo("annals", "annals")}, "the producer of development": {nats.UserInfo("producer", "producer")}, "another installation's ledger": {secret},
	} {
		if nc, err := nats.Connect(r.url, o...); err == nil {
			nc.Close()
			t.Errorf("%s got in", name)
		} else if !strings.Contains(err.Error(), "Authorization") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// permissionless takes the permissions out of accounts.conf.
func permissionless(t *testing.T) func(string, string) string {
	block := regexp.MustCompile(`(?s)\n        permissions \{.*?\n        \}`)
	return func(dir, text string) string {
		if strings.Contains(text, "resolver_preload") {
			return withoutScopes(t, dir, text)
		}
		out := block.ReplaceAllString(text, "")
		if out == text || strings.Contains(out, "permissions") {
			t.Fatalf("the permissions are not where this test takes them out:\n%s", out)
		}
		return out
	}
}

// TestAccountsAlone: without one permission, the accounts keep everybody but the
// ledgers from doing anything to the streams. So a mistake in the one is no hole.
func TestAccountsAlone(t *testing.T) {
	r := run(t, everything(), 1, permissionless(t))
	ledger := r.stream(t)
	before := state(t, ledger)
	all := calls(t)
	for _, user := range outside {
		c := r.connect(t, user)
		for _, subject := range all {
			if user == "anchor" || user == "anchor-owner" {
				continue // they have streams of their own
			}
			bodies := []string{""}
			if strings.Contains(subject, "PURGE") || strings.Contains(subject, "MSG") {
				bodies = []string{"", `{"seq":2}`, `{"seq":1,"no_erase":false}`}
			}
			for _, body := range bodies {
				// Answered with an error, or by nobody; META and ACCOUNT calls not at all.
				if m, err := c.Request(subject, []byte(body), 5*time.Millisecond); err == nil && !strings.Contains(string(m.Data), `"error"`) {
					t.Errorf("%s asks on %s with %q and is answered %s", user, subject, body, m.Data)
				}
			}
		}
		for _, subject := range all { // an anchor's account has these streams not, and may ask
			if user == "anchor" && strings.HasPrefix(subject, "$JS.API.STREAM.") {
				if m, err := c.Request(subject, nil, time.Second); err == nil && strings.Contains(string(m.Data), `"success":true`) {
					t.Errorf("an anchor asks on %s: %s", subject, m.Data)
				}
			}
		}
		for _, subject := range []string{"annals.control.x", "annals.replica.a", "annals.head.a", "$JS.ACK.ANNALS.c.1.1.1.1.1", "_R_.x"} {
			if err := c.Publish(subject, []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
		if user != "door" {
			if err := c.Publish("vouched.ws_7.x", nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ledger.Request("vouched.ws_7.begin", nil, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	after := strings.Replace(state(t, ledger), "vouched.ws_7.begin=4", "vouched.ws_7.begin=3", 1)
	if after = strings.Replace(after, "ANNALS 1 4", "ANNALS 1 3", 1); after != before {
		t.Errorf("the streams were\n%s\nand are\n%s", before, after)
	}
}
