// Package natsconfig makes the configuration of the NATS servers that hold the
// stream: accounts, users and their permissions, and the seeds by which the users
// get in.
//
// The rule it exists for: whoever may publish anything in an account can have the
// server's answer stored under any subject of that account, by naming it as their
// reply; permissions don't look at that. So nobody is in the stream's account but
// the ledgers that fold it. Everybody else, an operator too, is in an account of
// their own, and sees of the stream's what is imported there, subject by subject.
// Permissions stand besides, and say the same once more.
package natsconfig
