// Package oidc knows people and services by the tokens of one OpenID provider.
//
// The rule it exists for: a token is read strictly before anything is believed of
// it, and believed only as far as the configuration says. What two readers could
// take differently is refused: a member that is there twice, a time that is text, a
// header that names keys or asks for extensions. The algorithms are the
// configuration's and never the token's. What a token's claims are worth here,
// scopes and workspaces, is for the configuration to say too: no claim grants
// anything by itself.
//
// The provider's keys are fetched by the provider's discovery document, kept, and
// fetched anew now and then, so that its outage lets nobody wait and its rotation
// keeps nobody out. A key that nobody knows is asked for once in ten seconds at
// most, however many tokens name one.
package oidc
