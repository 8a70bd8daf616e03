package objects_test

import (
	"testing"

	"github.com/tarnlake/tarn/objects"
)

// partMin is the least size of a part in these tests.
const partMin = 100

func openStore(t testing.TB) *objects.Store { return objects.NewTestStore(t, partMin) }
