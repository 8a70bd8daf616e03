package query

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	connect "connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tarnlake/tarn/access"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

const (
	// SessionCookie carries a browser's token.
	SessionCookie = "tarn_session"
	// ConsoleHeader must stand in every call that is proven by a cookie: another
	// origin's page cannot send it.
	ConsoleHeader = "X-Tarn-Console"
)

// caller is who makes the call under way; report's, filled in by authenticate.
type caller struct{ access.Identity }

type callerKey struct{}

func callerOf(ctx context.Context) access.Identity {
	if c, ok := ctx.Value(callerKey{}).(*caller); ok {
		return c.Identity
	}
	return access.Identity{}
}

// anonymous calls need no proof of who calls.
func anonymous(procedure string) bool {
	return procedure == tarnv1connect.SessionServiceLoginProcedure ||
		procedure == tarnv1connect.SessionServiceLogoutProcedure ||
		strings.HasPrefix(procedure, "/grpc.health.v1.Health/")
}

// authenticate refuses whoever cannot say who they are.
func authenticate(keys *access.Keyring) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			if anonymous(spec.Procedure) {
				return next(ctx, spec, stream)
			}
			info, ok := connect.CallInfoForServerContext(ctx)
			if !ok {
				return connect.NewError(connect.CodeInternal, "no call information")
			}
			who, err := identify(ctx, keys, info.RequestHeader())
			if err != nil {
				return err
			}
			if c, ok := ctx.Value(callerKey{}).(*caller); ok {
				c.Identity = who
			}
			return next(ctx, spec, stream)
		}
	}
}

func identify(ctx context.Context, keys *access.Keyring, header *connect.Header) (access.Identity, error) {
	token, ok := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	if !ok {
		token = cookieToken(header)
		if token != "" && header.Get(ConsoleHeader) == "" {
			return access.Identity{}, connect.NewError(connect.CodePermissionDenied, "a call with a session cookie needs the header "+ConsoleHeader)
		}
	}
	if token == "" {
		return access.Identity{}, connect.NewError(connect.CodeUnauthenticated, "no bearer token: make one with `tarn key token`, or log in")
	}
	who, err := keys.Verify(ctx, token)
	switch {
	case errors.Is(err, access.ErrExpired):
		return who, connect.NewError(connect.CodeUnauthenticated, "the token has expired")
	case errors.Is(err, access.ErrToken), errors.Is(err, access.ErrUnknownKey):
		return who, connect.NewError(connect.CodeUnauthenticated, "the token is not valid")
	case err != nil:
		return who, codeOf(err)
	}
	return who, nil
}

func cookieToken(header *connect.Header) string {
	for _, line := range header.Values("Cookie") {
		cookies, err := http.ParseCookie(line)
		if err != nil {
			continue
		}
		for _, c := range cookies {
			if c.Name == SessionCookie {
				return c.Value
			}
		}
	}
	return ""
}

type sessionService struct{ o Options }

func (s *sessionService) Login(ctx context.Context, req *tarnv1.LoginRequest) (*tarnv1.LoginResponse, error) {
	life := time.Duration(req.TtlSeconds) * time.Second
	if life > access.TokenMax {
		return nil, invalid("ttl_seconds", "is at most 604800")
	}
	token, expires, err := s.o.Keys.Login(ctx, req.AccessKey, req.SecretKey, life)
	if errors.Is(err, access.ErrUnknownKey) {
		return nil, connect.NewError(connect.CodeUnauthenticated, "no such access key, or another secret")
	}
	if err != nil {
		return nil, err
	}
	res := &tarnv1.LoginResponse{Token: token, Expires: timestamppb.New(expires)}
	if req.Cookie {
		res.Token = ""
		setCookie(ctx, token, expires)
	}
	return res, nil
}

func (s *sessionService) Logout(ctx context.Context, _ *tarnv1.LogoutRequest) (*tarnv1.LogoutResponse, error) {
	setCookie(ctx, "", time.Unix(1, 0))
	return &tarnv1.LogoutResponse{}, nil
}

func (s *sessionService) WhoAmI(ctx context.Context, _ *tarnv1.WhoAmIRequest) (*tarnv1.WhoAmIResponse, error) {
	who := callerOf(ctx)
	return &tarnv1.WhoAmIResponse{AccessKey: who.AccessKey, Name: who.Name, Root: who.Root, Version: s.o.Version}, nil
}

func setCookie(ctx context.Context, token string, expires time.Time) {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return
	}
	secure := false
	if web, ok := connecthttp.ServerInfoForContext(ctx); ok {
		secure = web.TLS() != nil
	}
	c := http.Cookie{Name: SessionCookie, Value: token, Path: "/", Expires: expires, HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode}
	info.ResponseHeader().Set("Set-Cookie", c.String())
}
