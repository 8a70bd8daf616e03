package admission

// Class of a request: what it competes with, and how strongly.
type Class uint8

// The classes. Control is never made to wait.
const (
	Control   Class = iota // health, status, log in, drives
	Reads                  // gets, lists, queries
	Writes                 // puts, deletes
	Analytics              // long scans for people
	Repair                 // the store's own upkeep
	classes
)

var classNames = [classes]string{"control", "reads", "writes", "analytics", "repair"}

func (c Class) String() string { return classNames[c] }

// weights are the shares of the limit that classes get while all of them wait.
var weights = [classes]int{Control: 1, Reads: 8, Writes: 8, Analytics: 2, Repair: 2}

// background classes never fill more than half of the limit, so that whoever
// arrives in the foreground finds room at once.
func (c Class) background() bool { return c >= Analytics }

// Units that a request of so many body bytes weighs: a put of 10 MiB is not one
// of 4 KiB.
func Units(bodyBytes int64) int {
	const most = 8
	return int(min(most, 1+max(bodyBytes, 0)>>20))
}
