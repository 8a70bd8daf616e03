package index

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
)

func TestAFileInAFolderOfViewsIsRenamed(t *testing.T) {
	h := hosttest.New(1)
	fs := patientFS{h.FS, newPatiences(h.Clock, time.Hour, []string{"view"})}
	if err := fs.MkdirAll("view", 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("view/new", host.Category)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.Rename("view/new", "view/now"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.FS.Stat("view/now"); err != nil {
		t.Errorf("under its new name: %v", err)
	}
	if _, err := h.FS.Stat("view/new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("under its old name: %v", err)
	}
}
