package main

import (
	"testing"

	"github.com/tarnlake/tarn/objects"
)

func TestDrivesAreNamedWithTheirLabels(t *testing.T) {
	paths, labels, err := splitLabels([]string{"/mnt/a", "zone=a:rack=r1:node=n1:/mnt/b", "./x:y=z", "zone=b:zone=c:/mnt/c"})
	want := []objects.Labels{{}, {Zone: "a", Rack: "r1", Node: "n1"}, {}, {Zone: "c"}}
	if err != nil || len(paths) != 4 || paths[0] != "/mnt/a" || paths[1] != "/mnt/b" || paths[2] != "./x:y=z" || paths[3] != "/mnt/c" {
		t.Fatalf("%q, %v", paths, err)
	}
	for i := range want {
		if labels[i] != want[i] {
			t.Errorf("%s: %+v", paths[i], labels[i])
		}
	}
	if _, _, err := splitLabels([]string{"zone=a b:/mnt/a"}); err == nil {
		t.Error("a label with a space is taken")
	}
}
