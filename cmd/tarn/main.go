package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	started := false
	noteStart(root, &started)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return statusOK
	}
	if !started { // cobra's own complaints about commands, arguments and flags
		err = &usageError{err.Error()}
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintln(os.Stderr, "tarn: "+describe(err))
	}
	return statusOf(err)
}

// noteStart tells when a command line was understood and its command began.
func noteStart(cmd *cobra.Command, started *bool) {
	if work := cmd.RunE; work != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*started = true
			return work(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		noteStart(sub, started)
	}
}

const rootHelp = `A vector-first semantic data lake: objects, tables and vectors in one store.

First steps, in two terminals of one folder:
  tarn serve
  tarn mb docs
  tarn cp report.pdf tarn://docs/
  tarn index create docs/notes --dimension 384
  tarn put-vectors notes.parquet docs/notes
  tarn query docs/notes --like some-key

Every command but serve, drive format, inspect and check asks a running server, as the root key that
serve keeps in tarn-data/credentials, or as whom the flags below name.

Exit status: 0 done, 1 failed, 2 bad flag, argument or setting, 3 not found, 4 denied,
5 conflict (exists already, not empty, a condition does not hold), 6 server unavailable.`

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "tarn",
		Short:         "A vector-first semantic data lake: objects, tables and vectors in one store",
		Long:          rootHelp,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c := &client{}
	f := root.PersistentFlags()
	f.StringVar(&c.endpoint, "endpoint", envOr("TARN_ENDPOINT", "http://127.0.0.1:9000"), "where the server listens (TARN_ENDPOINT)")
	f.StringVar(&c.accessKey, "access-key", "", "access key (TARN_ACCESS_KEY, or the credentials file)")
	f.StringVar(&c.secretKey, "secret-key", "", "secret key (TARN_SECRET_KEY, or the credentials file)")
	f.StringVar(&c.credentials, "credentials", envOr("TARN_CREDENTIALS", "tarn-data/credentials"), "credentials file (TARN_CREDENTIALS)")
	f.StringVarP(&c.output, "output", "o", "table", "table, json or jsonl")
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return c.checkOutput() }
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err.Error()} })
	root.AddCommand(serveCommand(), statusCommand(c), driveCommand(c), repairCommand(c), auditCommand(c), durabilityCommand(c), inspectCommand(c), checkCommand(c), keyCommand(c),
		mbCommand(c), rbCommand(c), lsCommand(c), cpCommand(c), catCommand(c), rmCommand(c), statCommand(c),
		indexCommand(c), putVectorsCommand(c), queryCommand(c), vectorsCommand(c))
	return root
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
