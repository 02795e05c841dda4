package auth

import (
	"context"
	"errors"
	"time"

	"calkeeper/internal/auth/gss"
)

// handshake is what a connection remembers of authentication. Requests come one after the other, so that nothing is locked.
type handshake struct {
	acceptor gss.Acceptor // of one that is under way
	begun    time.Time    // before anything was read of the account

	security gss.Context // of one that is complete
	identity Identity

	recorded string // by what mechanism and as whom the last request was authenticated that had no handshake
}

// accept takes the next token. A client that gave up a handshake may begin another one on the same connection.
func (c *Connection) accept(ctx context.Context, h *HTTP, token []byte) (answer []byte, established gss.Context, err error) {
	begun := c.acceptor != nil
	if !begun {
		c.begin(h)
	}
	answer, established, err = c.acceptor.Accept(ctx, token)
	if begun && errors.Is(err, gss.ErrDefectiveToken) {
		c.begin(h)
		// If it is no beginning either, what was wrong with it as the next token is what says more.
		if first, complete, another := c.acceptor.Accept(ctx, token); another == nil {
			answer, established, err = first, complete, nil
		}
	}
	if err != nil {
		c.reset()
	}
	return answer, established, err
}

// begin forgets whom the connection belonged to.
func (c *Connection) begin(h *HTTP) {
	c.reset()
	bindings := gss.ChannelBindings{Policy: h.Bindings}
	if certificate := c.Certificate(); certificate != nil {
		bindings.EndPoint = gss.EndPoint(certificate)
	}
	c.acceptor, c.begun = h.Acceptor(bindings), h.Now()
}

func (c *Connection) establish(s gss.Context, i Identity) {
	c.handshake = handshake{begun: c.begun, security: s, identity: i}
}

// established returns who has completed a handshake.
func (c *Connection) established() (Identity, bool) {
	if c == nil || c.security == nil {
		return Identity{}, false
	}
	return c.identity, true
}

// reset forgets the handshake, complete or not.
func (c *Connection) reset() {
	if c != nil {
		c.acceptor, c.security, c.identity = nil, nil, Identity{}
	}
}

// first tells whether nobody was authenticated like this on the connection before.
func (c *Connection) first(mechanism, user string) bool {
	return c == nil || c.recorded != mechanism+"\n"+user
}

// seen remembers an authentication for first.
func (c *Connection) seen(mechanism, user string) {
	if c != nil {
		c.recorded = mechanism + "\n" + user
	}
}
