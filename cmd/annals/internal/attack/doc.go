// Package attack does to a server what somebody would who means to stop it: it stalls,
// drips, floods and asks too much, over connections of its own.
//
// The rule it exists for: an attacker obeys nothing. What is refused is tried again at
// once, what is cut is opened again, and no answer is waited for that an attacker would
// not wait for. So what a server is measured by under attack is what it does to defend
// itself, and not what its clients spare it.
package attack
