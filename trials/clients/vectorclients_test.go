package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// run starts a client's program with the server's place and key in its environment.
func (s *server) run(t *testing.T, said string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(append(os.Environ(), "TARN_URL="+s.url, "TARN_ACCESS_KEY="+s.accessKey, "TARN_SECRET_KEY="+s.secret), env...)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), said) {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func TestLangChainAndTheNewestBoto3KeepVectors(t *testing.T) {
	python := os.Getenv("TARN_TEST_LANGCHAIN")
	if python == "" {
		t.Skip("needs an interpreter with langchain-aws in TARN_TEST_LANGCHAIN; `make test-clients` prepares one")
	}
	start(t).run(t, "\nOK", []string{"PYTHONDONTWRITEBYTECODE=1"}, python, "-m", "unittest", "-v", "langchain_cases")
}

func TestTheSDKForJavaScriptKeepsVectors(t *testing.T) {
	modules := os.Getenv("TARN_TEST_NODE_MODULES")
	if modules == "" {
		t.Skip("needs a folder with @aws-sdk/client-s3vectors in TARN_TEST_NODE_MODULES; `make test-clients` prepares one")
	}
	program, err := os.ReadFile("s3vectors_cases.mjs")
	if err != nil {
		t.Fatal(err)
	}
	// Node looks for modules beside the program.
	dir := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "cases.mjs")
	if err := os.WriteFile(copied, program, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t).run(t, "OK\n", nil, "node", copied)
}
