// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package depcheck

// The module's own packages, as the rules name them.
const (
	module = "github.com/imagelineage/imagelineage"

	api         = module + "/api"
	controllers = module + "/controllers"
	operator    = module + "/internal/operator"
	reference   = module + "/internal/reference"
	lineage     = module + "/internal/lineage"
	plan        = module + "/internal/plan"
	preview     = module + "/internal/preview"
	status      = module + "/internal/status"
	registry    = module + "/internal/registry"
	tekton      = module + "/internal/tekton"
	workload    = module + "/internal/workload"
	hooks       = module + "/internal/hooks"
)

// Other people's packages. A name stands for the package and all below it.
const (
	controllerRuntime = "sigs.k8s.io/controller-runtime"
	clientGo          = "k8s.io/client-go"
	ggcrRemote        = "github.com/google/go-containerregistry/pkg/v1/remote"
	tektonCD          = "github.com/tektoncd"
	knative           = "knative.dev"
)

// pure are the packages that decide: they turn values into values.
var pure = []string{reference, lineage, plan, preview, status}

// rule forbids imports.
type rule struct {
	// reason is what would go wrong otherwise; a violation shows it.
	reason string
	// of are the packages that the rule is about, with all below them.
	of []string
	// except are those among them that the rule is not about.
	except []string
	// never are the packages that must not be imported, with all below them.
	never []string
	// allowed are those among them that may be imported after all.
	allowed []string
	// closure extends the rule to everything that is imported by what is imported.
	closure bool
}

// rules is the architecture. The key is the sentence that is true.
var rules = map[string]rule{
	"pure packages cannot act": {
		reason: "a decision that can read or write is no decision: it cannot be repeated, replayed or trusted",
		of:     pure,
		never: []string{
			// net/netip is left out: it parses addresses and opens nothing.
			"context", "net", "net/http", "os", "os/exec", "syscall", "io/fs", "log", "log/slog", "math/rand", "crypto/rand",
			"github.com/go-logr/logr", "k8s.io/klog", "k8s.io/utils/clock", "golang.org/x/net", "google.golang.org/grpc",
		},
		allowed: []string{"net/netip", "net/url"},
	},
	"pure packages do not even reach a client": {
		reason:  "what is linked in can be called; apimachinery's own net/http and klog are the exception, and stay unused",
		of:      pure,
		never:   []string{controllerRuntime, clientGo, ggcrRemote, tektonCD, knative},
		closure: true,
	},
	"pure packages know no port": {
		reason: "a snapshot is a value: whoever gathers it knows where it comes from, whoever decides does not",
		of:     pure,
		never:  []string{module},
		allowed: []string{
			api, reference, lineage, plan, status,
		},
	},
	"the registry port knows no other port": {
		reason: "ports meet in the controllers only, so that each can be replaced and tested alone",
		of:     []string{registry},
		never:  []string{tekton, workload, hooks},
	},
	"the tekton port knows no other port": {
		reason: "ports meet in the controllers only, so that each can be replaced and tested alone",
		of:     []string{tekton},
		never:  []string{registry, workload, hooks},
	},
	"the workload port knows no other port": {
		reason: "ports meet in the controllers only, so that each can be replaced and tested alone",
		of:     []string{workload},
		never:  []string{registry, tekton, hooks},
	},
	"the hooks port knows no other port": {
		reason: "a hint is believed by nobody: what receives it must not be able to ask or act",
		of:     []string{hooks},
		never:  []string{registry, tekton, workload, plan, clientGo},
	},
	"the lineage controller does not know the rollout controller": {
		reason: "controllers meet in the API's status, which people can read too",
		of:     []string{controllers + "/imagelineage"},
		never:  []string{controllers + "/rollout"},
	},
	"the rollout controller does not know the lineage controller": {
		reason: "controllers meet in the API's status, which people can read too",
		of:     []string{controllers + "/rollout"},
		never:  []string{controllers + "/imagelineage"},
	},
	"only the composition root knows the controllers": {
		reason: "whatever imports a controller becomes a part of it",
		of:     []string{module},
		except: []string{controllers, operator, module + "/test"},
		never:  []string{controllers},
	},
	"only the registry port speaks to registries": {
		reason: "limits, credentials and refused addresses stand in one place",
		of:     []string{module},
		except: []string{registry, module + "/hack", module + "/test"},
		never:  []string{ggcrRemote},
	},
	"only the tekton port knows Tekton": {
		reason: "another version of Tekton, or another builder, changes one package",
		of:     []string{module},
		except: []string{tekton, module + "/test"},
		never:  []string{tektonCD, knative},
	},
	"the API is types and nothing else": {
		reason: "whoever imports the types must not get the operator with them",
		of:     []string{api},
		never:  []string{module, "k8s.io", "sigs.k8s.io", "github.com"},
		allowed: []string{
			api, "k8s.io/apimachinery",
		},
	},
}
