package activity

import "strconv"

// SystemWorkspace is the name under which the system's own records are
// published, on vouched.> only. No record may name it.
const SystemWorkspace = "_system"

// Actor types that need no actor.id: there may be nobody to name.
const (
	ActorAnonymous = "anonymous"
	ActorSystem    = "system"
)

// Keys is what the fold and the projections need of a record: strings as they
// stand in it, "" where it says nothing.
//
// The strings may alias the bytes that were scanned (only those with JSON
// escapes are copied). Whoever keeps a Keys longer than the bytes, or writes
// into the bytes, clones them first.
type Keys struct {
	ID, Producer, Type, Workspace string
	OccurredAt, Amends            string
	Outcome, Source               string
	Actor, OnBehalfOf             Party
	Object                        Ref
	Linked                        []Ref
	Session, IP                   string // context.session_id, context.ip
	Dimensions                    []Dimension
}

// Party names who acted, or on whose behalf.
type Party struct{ Type, ID string }

// Ref names a thing that was acted on or is linked to the record.
type Ref struct {
	Type string `json:"type,omitzero"`
	ID   string `json:"id,omitzero"`
}

// Dimension is one of the record's dimensions, in the order of the record. One
// whose value is empty is absent.
type Dimension struct{ Name, Value string }

// IsZero reports whether r names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// Forget lets go of the bytes that k aliases, and keeps the room of its slices: an
// erased record must not stay in memory.
func (k *Keys) Forget() {
	clear(k.Linked)
	clear(k.Dimensions)
	k.empty()
}

// empty forgets everything but the room of the slices.
func (k *Keys) empty() { *k = Keys{Linked: k.Linked[:0], Dimensions: k.Dimensions[:0]} }

// Agree lets the subject speak: it fills the type and the workspace that the
// record leaves out, and refuses what is missing from both, what differs, and
// what is no legal name. subjectType is "" when the subject has "_" in its
// place. Type before workspace; of each: missing, mismatch, invalid.
//
// SystemWorkspace is accepted as the subject's workspace; whether this subject
// may carry it (vouched.> alone) is for the caller to know.
func (k *Keys) Agree(workspace, subjectType string) *Refusal {
	switch {
	case k.Type == "" && subjectType == "":
		return refuse(CodeMissingType, "/type", `the record names no activity type; add "type" (over NATS the subject may name it: activity.<workspace>.<type>)`)
	case k.Type == "":
		k.Type = subjectType
	case subjectType != "" && k.Type != subjectType:
		return refuse(CodeTypeMismatch, "/type", "the record says "+quote(k.Type)+" and the subject "+quote(subjectType)+"; leave one out or make them equal")
	}
	if !ValidType(k.Type) {
		return invalidType(k.Type)
	}
	switch {
	case k.Workspace == "" && workspace == "":
		return refuse(CodeMissingWorkspace, "/workspace", `neither the subject nor the record names the workspace; publish on activity.<workspace>.<type>`)
	case k.Workspace == "":
		k.Workspace = workspace
	case workspace != "" && k.Workspace != workspace:
		return refuse(CodeWorkspaceMismatch, "/workspace", "the record says "+quote(k.Workspace)+" and was published to "+quote(workspace)+", and only there it may be recorded; leave its workspace out, or publish it to that one")
	}
	if !ValidWorkspace(k.Workspace) && k.Workspace != SystemWorkspace {
		return invalidWorkspace(k.Workspace)
	}
	return nil
}

// check applies the rules about values, in the order that the format gives.
func (k *Keys) check() *Refusal {
	if len(k.ID) > MaxID {
		return tooLong("/id", len(k.ID))
	}
	if len(k.Producer) > MaxProducer {
		return producerTooLong("/producer", len(k.Producer))
	}
	if len(k.Actor.ID) > MaxID {
		return tooLong("/actor/id", len(k.Actor.ID))
	}
	if len(k.OnBehalfOf.ID) > MaxID {
		return tooLong("/on_behalf_of/id", len(k.OnBehalfOf.ID))
	}
	if len(k.Object.ID) > MaxID {
		return tooLong("/object/id", len(k.Object.ID))
	}
	for i := range k.Linked {
		if n := len(k.Linked[i].ID); n > MaxID {
			return tooLong("/linked/"+strconv.Itoa(i)+"/id", n)
		}
	}
	if k.Type != "" && !ValidType(k.Type) {
		return invalidType(k.Type)
	}
	if k.Workspace != "" && !ValidWorkspace(k.Workspace) {
		return invalidWorkspace(k.Workspace)
	}
	if k.Actor.ID == "" && k.Actor.Type != ActorAnonymous && k.Actor.Type != ActorSystem {
		return refuse(CodeMissingActorID, "/actor/id", `say who acted in actor.id; when nobody is known, set actor.type to "anonymous" or "system"`)
	}
	return nil
}

func tooLong(pointer string, n int) *Refusal {
	return refuse(CodeIDTooLong, pointer, "an id has at most "+strconv.Itoa(MaxID)+" bytes, this one has "+strconv.Itoa(n))
}

func producerTooLong(pointer string, n int) *Refusal {
	return refuse(CodeProducerTooLong, pointer, "producer has at most "+strconv.Itoa(MaxProducer)+" bytes, this one has "+strconv.Itoa(n))
}

func invalidType(s string) *Refusal {
	return refuse(CodeInvalidType, "/type", "a type is 1 to "+strconv.Itoa(MaxType)+` of the characters A-Z a-z 0-9 _ . - and not "_" alone, unlike `+quote(s))
}

func invalidWorkspace(s string) *Refusal {
	return refuse(CodeInvalidWorkspace, "/workspace", "a workspace is 1 to "+strconv.Itoa(MaxWorkspace)+` of the characters A-Z a-z 0-9 _ - and does not start with "_", unlike `+quote(s))
}

// quote prints what somebody else wrote, in ASCII and cut short.
func quote(s string) string {
	if len(s) > MaxType {
		return strconv.QuoteToASCII(s[:MaxType]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// ValidType reports whether s may be an activity type: 1 to 128 of
// [A-Za-z0-9_.-], and not "_" alone, which in a subject means "see the record".
func ValidType(s string) bool {
	return len(s) <= MaxType && s != "_" && legal(s, '.')
}

// ValidWorkspace reports whether s may be a workspace that people use: 1 to 64
// of [A-Za-z0-9_-], not starting with "_", which is reserved.
func ValidWorkspace(s string) bool {
	return len(s) <= MaxWorkspace && legal(s, '-') && s[0] != '_'
}

// legal reports whether s is not empty and holds only [A-Za-z0-9_-] and extra.
func legal(s string, extra byte) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '_', c == '-', c == extra:
		default:
			return false
		}
	}
	return s != ""
}
