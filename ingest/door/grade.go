package door

import (
	"annals/activity"
	"annals/internal/access"
)

// attribute adds to what the door saw whose token came: the subject, and the
// producer, in whose scope the ids of records are. That is the subject too, unless
// a service brought the token of somebody else in its own name.
func attribute(d *activity.Door, p *access.Principal) {
	d.Subject, d.Producer = p.Subject, p.Subject
	if p.Through != "" {
		d.Producer = p.Through
	}
}

// grade says how it is known who acted, as far as a record names them. It is worth as
// much as the weakest name: a record of somebody on whose behalf another acted is
// verified only where they are one.
func grade(p *access.Principal, k *activity.Keys) string {
	own := p.Subject != "" && k.Actor.ID == p.Subject
	other := k.OnBehalfOf.ID != "" && k.OnBehalfOf.ID != p.Subject
	switch {
	case k.Actor.Type == activity.ActorAnonymous:
		return activity.GradeAnonymous
	case own && !other && p.Through == "":
		return activity.GradeVerified // the token is the actor's own
	case own && !other:
		return activity.GradeDelegated // the actor's own token, brought by a service
	case p.OnBehalf && (k.Actor.ID != "" || other):
		return activity.GradeDelegated // a service that is trusted to say for whom it acts
	}
	return activity.GradeAsserted
}
