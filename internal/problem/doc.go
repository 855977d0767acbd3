// Package problem is how a refusal reads over HTTP: RFC 9457 problem details.
//
// The rule it exists for: what goes wrong has one name, and the name decides
// everything else. Every [Code] is a row of one table, which says the HTTP
// status, the title and what to do about it; a handler names the code and adds
// what is special about this time. A new way of going wrong is a new row.
package problem
