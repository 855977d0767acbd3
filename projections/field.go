package projections

// Field is what a question may ask about: one of the things that the entries of
// a workspace are told apart by.
type Field uint8

// The fields. Their numbers stand in keys and never change; [FieldObject],
// [FieldGroup] and [FieldActor] are asked for, not stored.
const (
	FieldUser      Field = 1  // id of the actor, or of the one on whose behalf
	FieldObject    Field = 2  // type and id of the object or of a linked one
	FieldLinked    Field = 3  // type and id of a linked object
	FieldType      Field = 4  // the record's type, the subject's where it leaves it out
	FieldGroup     Field = 5  // group of the catalogue that the type belongs to
	FieldSource    Field = 6  // source, as written
	FieldOutcome   Field = 7  // outcome, as written
	FieldSession   Field = 8  // context.session_id
	FieldIP        Field = 9  // context.ip: an address in its canonical form, or what was written
	FieldGrade     Field = 10 // how the actor is attributed: verified, delegated, asserted, anonymous, none
	FieldKind      Field = 11 // record, duplicate, conflict, rejection, control, gap
	FieldDimension Field = 12 // name and value of one of the record's dimensions
	FieldAmends    Field = 13 // index of the entry that the record amends, in decimal
	FieldActor     Field = 14 // id of the actor alone
	FieldBehalf    Field = 15 // id of the one on whose behalf, where another acted
	FieldData      Field = 16 // name and value of what the type's data is looked up by
)

var fieldNames = [...]string{
	FieldUser: "user", FieldObject: "object", FieldLinked: "linked", FieldType: "type", FieldGroup: "group",
	FieldSource: "source", FieldOutcome: "outcome", FieldSession: "session", FieldIP: "ip", FieldGrade: "grade",
	FieldKind: "kind", FieldDimension: "dimension", FieldAmends: "amends",
	FieldActor: "actor", FieldBehalf: "behalf", FieldData: "data",
}

// String returns the field's name as questions spell it, "" for none.
func (f Field) String() string {
	if int(f) < len(fieldNames) {
		return fieldNames[f]
	}
	return ""
}

// Fields lists every field, in order.
func Fields() []Field {
	fields := make([]Field, 0, len(fieldNames)-1)
	for f := FieldUser; int(f) < len(fieldNames); f++ {
		fields = append(fields, f)
	}
	return fields
}

// ParseField is the reverse of [Field.String].
func ParseField(s string) (Field, bool) {
	for _, f := range Fields() {
		if fieldNames[f] == s {
			return f, true
		}
	}
	return 0, false
}

// paired reports whether the field's values have two parts.
func (f Field) paired() bool {
	switch f {
	case FieldObject, FieldLinked, FieldDimension, FieldData:
		return true
	}
	return false
}

// outlives reports whether an entry keeps its place in the field's lists when its
// payload is gone: the entry itself says these.
func (f Field) outlives() bool {
	switch f {
	case FieldKind, FieldGrade, FieldAmends:
		return true
	}
	return false
}
