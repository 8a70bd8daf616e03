package indextest_test

import (
	"testing"

	"github.com/tarnlake/tarn/objects/index/indextest"
)

func TestIndexInMemoryConforms(t *testing.T) { indextest.Run(t, indextest.New) }

func TestTwoShardsConform(t *testing.T) { indextest.Run(t, indextest.NewTwoShards) }
