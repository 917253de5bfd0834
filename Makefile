# Image Lineage. "make" alone lists the targets.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= 0.1.0
# The operator's image. With a registry that speaks plain HTTP, name it in PLAIN_HTTP.
IMG ?= ghcr.io/imagelineage/imagelineage:v$(VERSION)
# HOST:PORT[,HOST:PORT]: registries to which plain HTTP is spoken.
PLAIN_HTTP ?=
# Any value makes "make image" push instead of writing bin/image.tar.
PUSH ?=

# The image is built so (see hack/image); with tests and tools built alike, all of them
# share Go's build cache, and the hundreds of packages of client-go compile once.
export CGO_ENABLED := 0
export GOFLAGS := $(filter-out -trimpath,$(shell go env GOFLAGS)) -trimpath

# Tools are pinned in modules of their own and built by Go when first used; nothing has
# to be installed.
CONTROLLER_GEN := go tool -modfile=tools/go.mod controller-gen
KUSTOMIZE := go tool -modfile=tools/go.mod kustomize
GOLANGCI_LINT := go tool -modfile=tools/lint/go.mod golangci-lint
KUBECTL ?= kubectl
CLUSTER := cd test/cluster && go run .

# Every package of the root module but the tests that need binaries or a cluster.
UNIT := $$(go list ./... | grep -v -e /test/integration -e /test/e2e -e /test/variants)
# What "make generate manifests bundle dist docs" writes, and nobody else.
GENERATED := api/v1alpha1/zz_generated.deepcopy.go config/crd/bases bundle bundle.Dockerfile dist docs/troubleshooting.md

##@ General

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*##"; print "Usage: make TARGET"} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*##/ {printf "  %-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo demo-down
demo: ## Watch a base image move through a small shop into running pods.
	go run ./test/demo up
demo-down: ## Remove what the demo made.
	go run ./test/demo down

.PHONY: cluster-up cluster-down cluster-status
cluster-up: ## Bring up a real Kubernetes with Tekton and a registry on this machine.
	$(CLUSTER) up
cluster-down: ## Take that cluster down; what was built for it stays cached.
	$(CLUSTER) down
cluster-status: ## Say whether it is up, and how to reach it.
	$(CLUSTER) status

##@ Test

# The cheap ones first, and lint last: a wrong program matters more than an ugly one.
.PHONY: test
test: ## Run all tests: unit, integration, end to end, lint.
	$(MAKE) test-unit
	$(MAKE) test-variants
	$(MAKE) test-integration
	$(MAKE) test-e2e
	$(MAKE) verify-generated
	$(MAKE) lint

.PHONY: test-unit
test-unit: ## Run the tests that need nothing but Go.
	go test $(UNIT)
	@if [ -f test/cluster/go.mod ]; then cd test/cluster && go test ./...; fi

.PHONY: test-variants
test-variants: ## Break the operator on purpose, and see that the tests notice.
	go test -count=1 -v ./test/variants

.PHONY: test-integration
test-integration: ## Run the tests against a real kube-apiserver and etcd.
	assets="$${KUBEBUILDER_ASSETS:-$$($(CLUSTER) assets)}"; \
	KUBEBUILDER_ASSETS="$$assets" go test -parallel 4 -timeout 20m ./test/integration/...

.PHONY: test-e2e
test-e2e: ## Run the stories of test/e2e on a real cluster: KUBECONFIG and REGISTRY, or our own.
	go run ./hack/e2e

##@ Measure

# Arguments for a benchmark, such as "-scenario idle,moved" or "-lineages 5000".
BENCH ?=

.PHONY: bench-registry
bench-registry: ## Measure what the operator asks of registries, and how fast it notices.
	assets="$${KUBEBUILDER_ASSETS:-$$($(CLUSTER) assets)}"; \
	KUBEBUILDER_ASSETS="$$assets" go run ./test/perf/registry $(BENCH)

.PHONY: bench-planner
bench-planner: ## Measure what it costs to decide in fleets of up to 100,000 lineages.
	go run ./test/perf/planner $(BENCH)

##@ Develop

.PHONY: generate
generate: ## Generate the deep copies of the API types.
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths=./api/...

.PHONY: manifests
manifests: ## Generate the CRDs.
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=config/crd/bases

.PHONY: docs
docs: ## Generate docs/troubleshooting.md from the table of failures.
	go run ./hack/troubleshooting

# The difference is taken from before to after, not from the last commit, so that it can
# be run with work in progress too.
.PHONY: verify-generated
verify-generated: ## Regenerate everything and fail if that changes anything.
	before="$$(mktemp -d)"; trap 'rm -rf "$$before"' EXIT; \
	for path in $(GENERATED); do \
		mkdir -p "$$before/$$(dirname $$path)"; cp -r $$path "$$before/$$path"; done; \
	$(MAKE) generate manifests bundle dist docs; \
	for path in $(GENERATED); do diff -r "$$before/$$path" $$path \
		|| { echo "$$path was out of date and has been generated: commit it"; exit 1; }; done

.PHONY: lint
lint: ## Lint and check the format of the code.
	$(GOLANGCI_LINT) run

.PHONY: lint-fix
lint-fix: ## Lint, and mend what can be mended.
	$(GOLANGCI_LINT) run --fix

##@ Install

.PHONY: image
image: ## Build the operator's image without a Docker engine; PUSH=1 pushes IMG.
	go run ./hack/image -image "$(IMG)" $(if $(PUSH),-push,-tar bin/image.tar) \
		$(if $(PLAIN_HTTP),-plain-http "$(PLAIN_HTTP)")

# config/default with IMG and PLAIN_HTTP, in an overlay outside the tree's own files:
# installing must not change what is checked in.
define overlay
	mkdir -p bin/overlay; \
	printf 'resources:\n- ../../config/default\n' > bin/overlay/kustomization.yaml; \
	if [ -n "$(PLAIN_HTTP)" ]; then printf '%s\n' 'patches:' \
		'- target: {kind: Deployment, name: controller-manager}' \
		'  patch: |' \
		'    - {op: add, path: /spec/template/spec/containers/0/args/-, value: "--plain-http-registries=$(PLAIN_HTTP)"}' \
		>> bin/overlay/kustomization.yaml; fi; \
	modfile="$$PWD/tools/go.mod"; \
	(cd bin/overlay && go tool -modfile="$$modfile" kustomize edit set image controller="$(IMG)")
endef

.PHONY: install
install: ## Install the CRD into the cluster of KUBECONFIG.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) apply --server-side -f -

.PHONY: deploy
deploy: ## Install the operator, as image IMG, into the cluster of KUBECONFIG.
	@$(overlay)
	$(KUSTOMIZE) build bin/overlay | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: ## Remove the operator, the CRD and with it every ImageLineage.
	$(KUSTOMIZE) build config/default | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: plugin
plugin: ## Build the kubectl plugin, bin/kubectl-lineage: put it on the PATH.
	go build -ldflags "-s -w" -o bin/kubectl-lineage ./cmd/kubectl-lineage

##@ Release

.PHONY: dist
dist: ## Generate dist/: what to apply without kustomize.
	@$(overlay)
	mkdir -p dist
	$(KUSTOMIZE) build bin/overlay > dist/install.yaml
	$(KUSTOMIZE) build config/authority > dist/authority.yaml

.PHONY: bundle
bundle: ## Generate the OLM bundle.
	@$(overlay)
	$(KUSTOMIZE) build config/manifests | go run ./hack/bundle -version "$(VERSION)" -image "$(IMG)"
