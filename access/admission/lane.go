package admission

import "context"

// waiter is a request that waits for room.
type waiter struct {
	ctx    context.Context
	class  Class
	tenant string
	units  int
	ready  chan bool // buffered: true admits, false refuses
}

// lane holds the waiters of a class, by tenant, the newest of each last.
type lane struct {
	tenants map[string][]*waiter
	n       int
	busy    map[string]int // units of the class at work, by tenant
}

func newLane() lane { return lane{tenants: map[string][]*waiter{}, busy: map[string]int{}} }

func (l *lane) push(w *waiter) {
	l.tenants[w.tenant] = append(l.tenants[w.tenant], w)
	l.n++
}

// pop takes the newest waiter of the tenant that has the least at work; nil
// where nobody waits.
func (l *lane) pop() *waiter {
	tenant, found := "", false
	for t := range l.tenants {
		if !found || l.busy[t] < l.busy[tenant] || l.busy[t] == l.busy[tenant] && t < tenant {
			tenant, found = t, true
		}
	}
	if !found {
		return nil
	}
	all := l.tenants[tenant]
	w := all[len(all)-1]
	l.keep(tenant, all[:len(all)-1])
	return w
}

// shed takes the oldest waiter of the tenant that has the most of them.
func (l *lane) shed() *waiter {
	tenant := ""
	for t, all := range l.tenants {
		if most := len(l.tenants[tenant]); len(all) > most || len(all) == most && t < tenant {
			tenant = t
		}
	}
	all := l.tenants[tenant]
	w := all[0]
	l.keep(tenant, all[1:])
	return w
}

// remove takes out one that gave up.
func (l *lane) remove(w *waiter) {
	all := l.tenants[w.tenant]
	for i, other := range all {
		if other == w {
			l.keep(w.tenant, append(all[:i:i], all[i+1:]...))
			return
		}
	}
}

func (l *lane) keep(tenant string, all []*waiter) {
	l.n--
	if len(all) == 0 {
		delete(l.tenants, tenant)
		return
	}
	l.tenants[tenant] = all
}

// work adds units that a tenant has at work.
func (l *lane) work(tenant string, units int) {
	if l.busy[tenant] += units; l.busy[tenant] == 0 {
		delete(l.busy, tenant)
	}
}
