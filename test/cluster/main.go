package main

import (
	"context"
	"fmt"
	"os"

	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
	"github.com/imagelineage/imagelineage/test/cluster/internal/images"
	"github.com/imagelineage/imagelineage/test/cluster/internal/pieces"
)

func main() {
	p := command.NewProgress(os.Stderr)
	m := images.Maker{Progress: p}
	b := pieces.Builder{Root: "./test/cluster", Progress: p}
	if len(os.Args) > 1 {
		fmt.Println(m.BuilderRootfs(context.Background()))
		return
	}
	fmt.Println(b.Assets(context.Background()))
}
