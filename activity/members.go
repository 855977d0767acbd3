package activity

// This file is the table of the record's known members and their JSON types.
// It is frozen: the fold refuses a known member of another type, so a member
// added here would refuse records that were accepted before.

// want is the JSON type that a known member must have.
type want uint8

const (
	anything want = iota // any JSON value, null too
	aString
	aNumber
	anObject
	anArray
)

func (w want) String() string {
	return [...]string{"any value", "a string", "a number", "an object", "an array"}[w]
}

// matches reports whether a value whose first byte is c has the type.
func (w want) matches(c byte) bool {
	switch w {
	case aString:
		return c == '"'
	case aNumber:
		return c == '-' || '0' <= c && c <= '9'
	case anObject:
		return c == '{'
	case anArray:
		return c == '['
	}
	return true
}

// place is an object or array whose members are known.
type place uint8

const (
	elsewhere place = iota // nothing is known here
	inRecord
	inActor
	inOnBehalfOf
	inObject
	inLinked     // the array
	inLinkedItem // one of its objects
	inContext
	inChanges
	inChange
	inReason
	inOrigin
	inDimensions
)

// slot is where in Keys a string goes.
type slot uint8

const (
	slotNone slot = iota
	slotID
	slotProducer
	slotType
	slotWorkspace
	slotOccurredAt
	slotAmends
	slotOutcome
	slotSource
	slotActorType
	slotActorID
	slotOnBehalfOfType
	slotOnBehalfOfID
	slotObjectType
	slotObjectID
	slotLinked // a new element
	slotLinkedType
	slotLinkedID
	slotSession
	slotIP
	slotDimension // a new element, and its value
)

// rule is what is known about a value: its type, what is known inside it, and
// where it is kept.
type rule struct {
	want  want
	place place
	slot  slot
}

// member returns the rule for the member called name in p; the zero rule when
// it is not a known member. name is compared byte by byte, after unescaping.
func (p place) member(name []byte) rule {
	switch p {
	case inRecord:
		return recordMember(name)
	case inActor:
		return partyMember(name, slotActorType, slotActorID)
	case inOnBehalfOf:
		return partyMember(name, slotOnBehalfOfType, slotOnBehalfOfID)
	case inObject:
		return refMember(name, slotObjectType, slotObjectID)
	case inLinkedItem:
		return refMember(name, slotLinkedType, slotLinkedID)
	case inContext:
		switch string(name) {
		case "ip":
			return rule{want: aString, slot: slotIP}
		case "session_id":
			return rule{want: aString, slot: slotSession}
		case "forwarded_ip", "user_agent", "request_id":
			return rule{want: aString}
		}
	case inChange:
		if string(name) == "field" {
			return rule{want: aString}
		}
	case inReason:
		switch string(name) {
		case "code", "details", "commentary":
			return rule{want: aString}
		}
	case inOrigin:
		switch string(name) {
		case "kind", "file_id":
			return rule{want: aString}
		case "line":
			return rule{want: aNumber}
		}
	case inDimensions:
		return rule{want: aString, slot: slotDimension}
	}
	return rule{}
}

// element returns the rule for each element of the array p.
func (p place) element() rule {
	switch p {
	case inLinked:
		return rule{want: anObject, place: inLinkedItem, slot: slotLinked}
	case inChanges:
		return rule{want: anObject, place: inChange}
	}
	return rule{}
}

func recordMember(name []byte) rule {
	switch string(name) {
	case "id":
		return rule{want: aString, slot: slotID}
	case "producer":
		return rule{want: aString, slot: slotProducer}
	case "type":
		return rule{want: aString, slot: slotType}
	case "workspace":
		return rule{want: aString, slot: slotWorkspace}
	case "occurred_at":
		return rule{want: aString, slot: slotOccurredAt}
	case "amends":
		return rule{want: aString, slot: slotAmends}
	case "outcome":
		return rule{want: aString, slot: slotOutcome}
	case "source":
		return rule{want: aString, slot: slotSource}
	case "method":
		return rule{want: aString}
	case "actor":
		return rule{want: anObject, place: inActor}
	case "on_behalf_of":
		return rule{want: anObject, place: inOnBehalfOf}
	case "object":
		return rule{want: anObject, place: inObject}
	case "linked":
		return rule{want: anArray, place: inLinked}
	case "context":
		return rule{want: anObject, place: inContext}
	case "changes":
		return rule{want: anArray, place: inChanges}
	case "reason":
		return rule{want: anObject, place: inReason}
	case "origin":
		return rule{want: anObject, place: inOrigin}
	case "dimensions":
		return rule{want: anObject, place: inDimensions}
	}
	return rule{} // message and data are any JSON, like what nobody knows
}

func partyMember(name []byte, kind, id slot) rule {
	switch string(name) {
	case "type":
		return rule{want: aString, slot: kind}
	case "id":
		return rule{want: aString, slot: id}
	case "name", "login", "email":
		return rule{want: aString}
	}
	return rule{}
}

func refMember(name []byte, kind, id slot) rule {
	switch string(name) {
	case "type":
		return rule{want: aString, slot: kind}
	case "id":
		return rule{want: aString, slot: id}
	case "name", "revision":
		return rule{want: aString}
	}
	return rule{}
}

// slot returns the string of k that s stands for.
func (k *Keys) slot(s slot) *string {
	switch s {
	case slotID:
		return &k.ID
	case slotProducer:
		return &k.Producer
	case slotType:
		return &k.Type
	case slotWorkspace:
		return &k.Workspace
	case slotOccurredAt:
		return &k.OccurredAt
	case slotAmends:
		return &k.Amends
	case slotOutcome:
		return &k.Outcome
	case slotSource:
		return &k.Source
	case slotActorType:
		return &k.Actor.Type
	case slotActorID:
		return &k.Actor.ID
	case slotOnBehalfOfType:
		return &k.OnBehalfOf.Type
	case slotOnBehalfOfID:
		return &k.OnBehalfOf.ID
	case slotObjectType:
		return &k.Object.Type
	case slotObjectID:
		return &k.Object.ID
	case slotLinkedType:
		return &k.Linked[len(k.Linked)-1].Type
	case slotLinkedID:
		return &k.Linked[len(k.Linked)-1].ID
	case slotSession:
		return &k.Session
	case slotIP:
		return &k.IP
	case slotDimension:
		return &k.Dimensions[len(k.Dimensions)-1].Value
	}
	return nil
}
