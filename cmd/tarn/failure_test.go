package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	connect "connectrpc.com/connect/v2"
	"github.com/minio/minio-go/v7"
)

func TestExitStatuses(t *testing.T) {
	rpc := func(c connect.Code) error {
		return fmt.Errorf("wrapped: %w", connect.NewError(c, "why"))
	}
	s3 := func(status int, code string) error { return minio.ErrorResponse{StatusCode: status, Code: code} }
	cases := []struct {
		err  error
		want int
	}{
		{errors.New("anything"), 1},
		{&settingError{"listen", "bad"}, 2}, {fmt.Errorf("wrapped: %w", &usageError{"bad"}), 2},
		{rpc(connect.CodeInvalidArgument), 2}, {rpc(connect.CodeOutOfRange), 2}, {rpc(connect.CodeNotFound), 3},
		{rpc(connect.CodeUnauthenticated), 4}, {rpc(connect.CodePermissionDenied), 4},
		{rpc(connect.CodeAlreadyExists), 5}, {rpc(connect.CodeFailedPrecondition), 5}, {rpc(connect.CodeAborted), 5},
		{rpc(connect.CodeUnavailable), 6}, {rpc(connect.CodeResourceExhausted), 6},
		{rpc(connect.CodeInternal), 1}, {rpc(connect.CodeUnknown), 1},
		{s3(404, "NoSuchKey"), 3}, {s3(0, "NoSuchBucket"), 3}, {s3(403, "AccessDenied"), 4}, {s3(409, "BucketNotEmpty"), 5},
		{s3(412, "PreconditionFailed"), 5}, {s3(503, "SlowDown"), 6}, {s3(400, "InvalidBucketName"), 2}, {s3(500, "InternalError"), 1},
		{context.DeadlineExceeded, 6}, {context.Canceled, 1},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, 6}, {&net.OpError{Op: "read", Err: errors.New("reset")}, 1},
	}
	for _, c := range cases {
		if got := statusOf(c.err); got != c.want {
			t.Errorf("%v: status %d, want %d", c.err, got, c.want)
		}
	}
}

// command runs a command line without a server; what it printed is returned.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := rootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestCommandLinesThatAreNotUnderstoodAreUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, line := range []string{
		"nonsense", "--nonsense", "ls a b", "status extra", "mb", "-o yaml ls", "index create docs/notes", "index create docs/notes --dimension x",
		"query docs/notes", "query docs/notes --like a --text b", "query docs --like a", "cp a b", "cp -r tarn://docs/a b", "put-vectors a.csv docs/notes",
		"put-vectors a.npy docs/notes --skip -1", "serve extra", "serve --listen nowhere", "drive format a b", "--access-key a ls",
	} {
		if got := run(t.Context(), strings.Fields(line)); got != statusUsage {
			t.Errorf("tarn %s: status %d, want %d", line, got, statusUsage)
		}
	}
}

func TestNoServerIsUnavailable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := "http://" + l.Addr().String()
	_ = l.Close()
	_, err = command(t, "--endpoint", at, "--access-key", "a", "--secret-key", "b", "status")
	if statusOf(err) != statusUnavailable || !strings.Contains(describe(err), "tarn serve") {
		t.Errorf("status %d: %s", statusOf(err), describe(err))
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out, err := command(t, "completion", shell); err != nil || !strings.Contains(out, "tarn") || len(out) < 1000 {
			t.Errorf("completion %s: %d bytes, %v", shell, len(out), err)
		}
	}
	for _, cmd := range rootCommand().Commands() {
		if out, err := command(t, cmd.Name(), "--help"); err != nil || cmd.Short == "" || !strings.Contains(out, "Usage:") {
			t.Errorf("%s --help: %v\n%s", cmd.Name(), err, out)
		}
	}
	if out, err := command(t, "--help"); err != nil || !strings.Contains(out, "First steps") || !strings.Contains(out, "Exit status") {
		t.Errorf("%v\n%s", err, out)
	}
}
