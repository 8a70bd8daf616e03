package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	connect "connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

// client is a running server as the commands see it.
type client struct {
	endpoint, accessKey, secretKey, credentials string
	output                                      string
	rpc                                         *connect.Client // once connected
}

// messageBytesMax bounds one answer.
const messageBytesMax = 256 << 20

// keys finds the key pair: flags, then the environment, then the credentials file.
func (c *client) keys() (accessKey, secret string, err error) {
	if (c.accessKey == "") != (c.secretKey == "") {
		return "", "", &usageError{"--access-key and --secret-key are given together or not at all"}
	}
	if c.accessKey != "" {
		return c.accessKey, c.secretKey, nil
	}
	accessKey, secret = os.Getenv("TARN_ACCESS_KEY"), os.Getenv("TARN_SECRET_KEY")
	if accessKey != "" && secret != "" {
		return accessKey, secret, nil
	}
	accessKey, secret, err = readCredentials(c.credentials)
	if errors.Is(err, os.ErrNotExist) {
		return "", "", &usageError{fmt.Sprintf("no credentials: set TARN_ACCESS_KEY and TARN_SECRET_KEY, or name the file that `tarn serve` wrote with --credentials (%s is not there)", c.credentials)}
	}
	return accessKey, secret, err
}

func (c *client) checkOutput() error {
	switch c.output {
	case "table", "json", "jsonl":
		return nil
	}
	return &usageError{fmt.Sprintf("--output: %q is not table, json or jsonl", c.output)}
}

// connect logs in once a command.
func (c *client) connect(ctx context.Context) (*connect.Client, error) {
	if c.rpc != nil {
		return c.rpc, nil
	}
	login, err := c.login(ctx, 24*time.Hour)
	if err != nil {
		return nil, err
	}
	c.rpc = connect.NewClient(c.transport(), bearer(login.Token))
	return c.rpc, nil
}

func (c *client) transport() connect.Transport {
	return connecthttp.NewTransport(http.DefaultClient, strings.TrimRight(c.endpoint, "/"), connecthttp.WithReadMaxBytes(messageBytesMax))
}

// login trades the key pair for a token.
func (c *client) login(ctx context.Context, life time.Duration) (*tarnv1.LoginResponse, error) {
	accessKey, secret, err := c.keys()
	if err != nil {
		return nil, err
	}
	session := tarnv1connect.NewSessionServiceClient(connect.NewClient(c.transport()))
	return session.Login(ctx, &tarnv1.LoginRequest{AccessKey: accessKey, SecretKey: secret, TtlSeconds: uint32(life / time.Second)})
}

// bearer puts a token into every call.
func bearer(token string) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok {
				info.RequestHeader().Set("Authorization", "Bearer "+token)
			}
			return next(ctx, spec)
		}
	}
}

func (c *client) vectors(ctx context.Context) (tarnv1connect.VectorServiceClient, error) {
	rpc, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return tarnv1connect.NewVectorServiceClient(rpc), nil
}

func (c *client) admin(ctx context.Context) (tarnv1connect.AdminServiceClient, error) {
	rpc, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return tarnv1connect.NewAdminServiceClient(rpc), nil
}

// s3 is the door for bulk bytes.
func (c *client) s3() (*minio.Client, error) {
	u, err := url.Parse(c.endpoint)
	if err != nil || u.Host == "" {
		return nil, &usageError{fmt.Sprintf("--endpoint: %q is not a URL such as http://127.0.0.1:9000", c.endpoint)}
	}
	accessKey, secret, err := c.keys()
	if err != nil {
		return nil, err
	}
	return minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secret, ""), Secure: u.Scheme == "https",
		Region: "us-east-1", BucketLookup: minio.BucketLookupPath,
	})
}

// place is bucket and key of an argument: tarn://bucket/key, s3://bucket/key, or bucket/key.
func place(arg string) (bucket, key string) {
	arg = strings.TrimPrefix(strings.TrimPrefix(arg, "tarn://"), "s3://")
	bucket, key, _ = strings.Cut(arg, "/")
	return bucket, key
}

// remote reports whether an argument of cp names a place in the store.
func remote(arg string) bool {
	return strings.HasPrefix(arg, "tarn://") || strings.HasPrefix(arg, "s3://")
}
