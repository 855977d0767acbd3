// Package imports records what other systems logged: files of their formats, each
// event as a record.
//
// The rule it exists for: a file is accounted for, to its last byte, however often
// it is imported. Each thing in it was recorded, was there already, contradicts what
// is there, or was refused, and then the report says where it stands, why, and what
// it was. A record's id comes from the file alone: the event's own, or else a hash of
// its bytes. So an import that broke off is begun again, and a second one of the same
// file finds everything there.
//
// What becomes of an event is a function of its bytes (and of the mapping, for CSV):
// no clock, no name of the file, nothing of the machine. Otherwise the same event out
// of a copy would be a conflict. That a file was imported is a record itself, made
// when all of it is in the ledger, and by the same rule.
package imports
