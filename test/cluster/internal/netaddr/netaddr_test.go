package netaddr

import (
	"net/netip"
	"testing"
)

func TestPickIsStableAndDisjoint(t *testing.T) {
	first, err := Pick(nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Pick(nil)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Errorf("the same machine got %v and %v", first, second)
	}
	if first.Link.Overlaps(first.Pods) || first.Pods.Overlaps(first.Services) || first.Link.Overlaps(first.Services) {
		t.Errorf("ranges overlap: %v", first)
	}
	if !first.Link.Contains(first.Host) || !first.Link.Contains(first.Node) || first.Host == first.Node {
		t.Errorf("host %v and node %v do not share %v", first.Host, first.Node, first.Link)
	}
	if got, want := first.ServiceAPI(), first.Services.Addr().Next(); got != want {
		t.Errorf("API server's Service: got %v, want %v", got, want)
	}
}

func TestPickAvoidsUsedRanges(t *testing.T) {
	free, err := Pick(nil)
	if err != nil {
		t.Fatal(err)
	}
	used := []netip.Prefix{netip.PrefixFrom(free.Services.Addr().Next(), 32)}
	other, err := Pick(used)
	if err != nil {
		t.Fatal(err)
	}
	if other.Link == free.Link {
		t.Errorf("%v was picked although %v is used", other, used)
	}
	if _, err := Pick([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}); err == nil {
		t.Error("a machine that routes all of 10.0.0.0/8 got addresses")
	}
}

func TestParseRoutes(t *testing.T) {
	text := `default via 192.0.2.1 dev eth0
192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.2
10.8.0.1 dev tun0 scope link
local 127.0.0.0/8 dev lo table local
unreachable 10.99.0.0/16
`
	got := ParseRoutes(text)
	want := []string{"192.0.2.0/24", "10.8.0.1/32", "127.0.0.0/8", "10.99.0.0/16"}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i].String() != want[i] {
			t.Errorf("route %d: got %v, want %s", i, got[i], want[i])
		}
	}
}
