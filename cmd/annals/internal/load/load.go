// Package load makes records to measure with.
//
// The rule it exists for: a seed names a series of records, byte for byte the
// same on every machine, so that whatever is measured with it can be measured
// again, and beside something else. They are of about 466 bytes and spread as
// activity is: a user belongs to a workspace and comes for a session, works on a
// few objects of theirs or of a colleague's, and few users do much.
package load

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// How the records are spread. Users are drawn by Zipf's law, and so is the
// workspace to which each belongs; every user has objectsEach objects.
const (
	Workspaces = 1_000
	Users      = 100_000
	Objects    = Users * objectsEach

	objectsEach = 10
	addresses   = 4_096
	sessions    = 512 // open at a time
	perSession  = 20  // records, on average
)

// Pace is how far apart in time records occur, on average: three million of them
// take nine days. Now and then one occurred up to Late before its neighbours.
const (
	Pace = 250 * time.Millisecond
	Late = 30 * time.Second
)

// Began is when a series begins: 2026-01-02T03:04:05.123Z in Unix milliseconds.
const Began = 1767323045_123

// Records makes one series of records. It is not for concurrent use.
type Records struct {
	r     *rand.Rand
	users *rand.Zipf
	world *world
	id    string // up to the record's number
	n     uint64
	now   int64 // Unix milliseconds
	clock clock
	open  [sessions]session
	facts Facts
}

// session is what a user does at a stretch: the parts of a record that stay the
// same meanwhile are kept as they are printed.
type session struct {
	left    int
	user    uint64
	object  uint64
	source  string
	actor   []byte // the member, and the beginning of the object's
	context []byte // source and context, up to outcome
}

// partRoom is how much either part takes, and a little more.
const partRoom = 320

// world is what all series share: who belongs where.
type world struct {
	names   []string   // of workspaces
	home    []uint16   // workspace of each user
	members [][]uint32 // users of each workspace
}

// theWorld is drawn once, from a seed of its own.
var theWorld = sync.OnceValue(func() *world {
	r := rand.New(rand.NewPCG(1, 466))
	zipf := rand.NewZipf(r, 1.1, 10, Workspaces-1)
	w := &world{names: make([]string, Workspaces), home: make([]uint16, Users), members: make([][]uint32, Workspaces)}
	for i := range w.names {
		w.names[i] = "ws_" + strconv.Itoa(i)
	}
	for user := range w.home {
		ws := zipf.Uint64()
		w.home[user] = uint16(ws)
		w.members[ws] = append(w.members[ws], uint32(user))
	}
	return w
})

// New starts the series of records that a seed names; series of different seeds
// have no id in common.
func New(seed uint64) *Records {
	r := rand.New(rand.NewPCG(seed, 466))
	return &Records{
		r: r, users: rand.NewZipf(r, 1.1, 10, Users-1), world: theWorld(), now: Began,
		id: `{"id":"evt_` + strconv.FormatUint(seed, 10) + "_",
	}
}

// Next appends the next record to dst, and says in which workspace it belongs.
func (l *Records) Next(dst []byte) (record []byte, workspace string) {
	l.n++
	dice := l.r.Uint64()
	part := func(sides uint64) uint64 { // independent enough, and one draw for all
		p := dice % sides
		dice /= sides
		return p
	}
	s := &l.open[part(sessions)]
	if s.left == 0 {
		l.begin(s)
	}
	s.left--
	if part(3) == 0 {
		s.object = l.pick(s)
	}
	what := &things[s.object%objectsEach]
	kind := &what.kinds[part(uint64(len(what.kinds)))]

	l.now += int64(part(2*uint64(Pace/time.Millisecond) + 1))
	occurred := l.now
	if part(16) == 0 {
		occurred -= int64(part(uint64(Late / time.Millisecond)))
	}
	outcome := outcomes[part(uint64(len(outcomes)))]

	dst = append(dst, l.id...)
	dst = strconv.AppendUint(dst, 1_000_000_000+l.n, 10)
	dst = append(dst, `","producer":"orders","type":"`...)
	dst = append(dst, kind.slug...)
	dst = append(dst, `","occurred_at":"`...)
	dst = l.clock.append(dst, occurred)
	dst = append(dst, s.actor...)
	dst = appendObject(dst, s.object)
	dst = append(dst, `,"name":"`...)
	dst = append(dst, what.name...)
	if part(8) == 0 {
		dst = append(dst, `"},"linked":[{`...)
		dst = appendObject(dst, uint64(l.colleague(s.user))*objectsEach)
		dst = append(dst, `}]`...)
	} else {
		dst = append(dst, `"}`...)
	}
	dst = append(dst, s.context...)
	dst = append(dst, outcome...)
	if part(6) == 0 {
		dst = append(dst, `","dimensions":{"site":"site_`...)
		dst = strconv.AppendUint(dst, part(200), 10)
		dst = append(dst, `","application":"line_`...)
		dst = strconv.AppendUint(dst, part(40), 10)
		dst = append(dst, `"}`...)
	} else {
		dst = append(dst, '"')
	}
	dst = append(dst, kind.before...)
	if kind.after != "" {
		dst = strconv.AppendUint(dst, l.n%1000, 10)
		dst = append(dst, kind.after...)
	}
	dst = append(dst, '}')

	workspace = l.world.names[l.world.home[s.user]]
	l.facts = Facts{Workspace: workspace, Type: kind.slug, Source: s.source, Outcome: outcome, user: s.user, object: s.object, Occurred: occurred}
	return dst, workspace
}

// begin starts a session: who comes, and from where.
func (l *Records) begin(s *session) {
	s.left = 1 + int(l.r.Uint64N(2*perSession-1))
	s.user = l.users.Uint64()
	s.object = s.user * objectsEach
	s.source = sources[l.r.Uint64N(uint64(len(sources)))]
	address := (s.user*2654435761 + l.r.Uint64N(2)) % addresses

	if s.actor == nil {
		room := make([]byte, 2*partRoom)
		s.actor, s.context = room[:0:partRoom], room[partRoom:partRoom]
	}
	b := append(s.actor[:0], `","actor":{"type":"user","id":"`...)
	b = appendUser(b, s.user)
	b = append(b, `","name":"`...)
	b = append(b, people[s.user%uint64(len(people))]...)
	s.actor = append(b, `"},"object":{`...)

	b = append(s.context[:0], `,"source":"`...)
	b = append(b, s.source...)
	b = append(b, `","context":{"ip":"10.1.`...)
	b = strconv.AppendUint(b, address/256, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, address%256, 10)
	b = append(b, `","user_agent":"`...)
	b = append(b, agents[s.user%uint64(len(agents))]...)
	b = append(b, `","session_id":"s_`...)
	b = strconv.AppendUint(b, l.r.Uint64()|1<<63, 16)
	s.context = append(b, `"},"outcome":"`...)
}

// pick chooses what a user works on next: mostly something of theirs.
func (l *Records) pick(s *session) uint64 {
	whose := s.user
	if l.r.Uint64N(5) == 0 {
		whose = uint64(l.colleague(s.user))
	}
	return whose*objectsEach + l.r.Uint64N(objectsEach)
}

// colleague is a user of the same workspace, perhaps the same one.
func (l *Records) colleague(user uint64) uint32 {
	all := l.world.members[l.world.home[user]]
	return all[l.r.Uint64N(uint64(len(all)))]
}

func appendUser(b []byte, user uint64) []byte {
	return strconv.AppendUint(append(b, "usr_"...), 100_000+user, 10)
}

// appendObject appends an object's type and id, as members.
func appendObject(b []byte, object uint64) []byte {
	what := &things[object%objectsEach]
	b = append(b, `"type":"`...)
	b = append(b, what.typ...)
	b = append(b, `","id":"`...)
	b = append(b, what.prefix...)
	b = strconv.AppendUint(b, 1_000_000+object, 10)
	return append(b, '"')
}
