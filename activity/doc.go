// Package activity is the record: what a producer may publish, what is read out
// of it, and how it reads to people.
//
// The rule it exists for: whether bytes are a record is decided by the bytes
// alone. [Scan] has no clock, no configuration and no catalogue; every replica,
// today and in ten years, must give the same bytes the same verdict, because
// the verdict is hashed. So a record is refused only for what nobody could read
// safely (syntax, bounds, a known member of another JSON type, no actor), each
// refusal is a numbered [Code] with its JSON pointer, and the order in which
// faults win is part of the format. testdata/vectors.json pins it: a change of
// one verdict, by us or by a library upgrade, is a new version of the format.
//
// Everything that is a matter of opinion comes after. The [Catalogue] knows the
// published activity types, and an [Overlay] those that a workspace adds or calls
// otherwise; what breaks them is flagged ([Vocabulary.Check]), never refused: an
// audit ledger that refuses evidence is worse than one that questions it. A
// [Sentence] says in words what a record tells, as structured parts and as
// plain text, never as HTML.
package activity
