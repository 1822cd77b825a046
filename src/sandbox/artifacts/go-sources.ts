/** Small Go programs and packages that are written here instead of being fetched. */

/**
 * Holds a pod's namespaces open: takes in orphans, ends on SIGINT or SIGTERM. Go rather than C, because a Go
 * compiler is there anyhow when things are built.
 */
export const pauseSource = `package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			os.Exit(0)
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if err == syscall.EINTR {
				continue
			}
			if pid <= 0 {
				break
			}
		}
	}
}
`;

/**
 * flannel imports Tencent Cloud's VPC client for a backend that the sandbox never starts. Not every module proxy serves that
 * client, so this stand-in has the names that flannel's tencent-vpc backend needs to compile; all its functions return an error.
 */
export const tencentVpcSource = `// Package v20170312 stands in for a cloud provider's client that this build has no use for.
package v20170312

import "errors"

var errAbsent = errors.New("flannel was built without its tencent-vpc backend")

type Client struct{}

type Filter struct {
	Name   *string
	Values []*string
}

type Route struct {
	RouteId              *uint64
	DestinationCidrBlock *string
	GatewayType          *string
	GatewayId            *string
	RouteType            *string
	Enabled              *bool
}

type RouteTable struct {
	RouteTableId *string
	RouteSet     []*Route
}

type DescribeRouteTablesRequest struct {
	Filters []*Filter
}

type DescribeRouteTablesResponse struct {
	Response *struct {
		RouteTableSet []*RouteTable
	}
}

type DeleteRoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

type CreateRoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

type Nothing struct{}

func NewClientWithSecretId(_, _, _ string) (*Client, error) { return nil, errAbsent }

func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest {
	return &DescribeRouteTablesRequest{}
}

func NewDeleteRoutesRequest() *DeleteRoutesRequest { return &DeleteRoutesRequest{} }

func NewCreateRoutesRequest() *CreateRoutesRequest { return &CreateRoutesRequest{} }

func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, errAbsent
}

func (*Client) DeleteRoutes(*DeleteRoutesRequest) (*Nothing, error) { return nil, errAbsent }

func (*Client) CreateRoutes(*CreateRoutesRequest) (*Nothing, error) { return nil, errAbsent }
`;

/** Cilium uses one name of this module, an annotation of the multi-cluster Services API. Not every module proxy serves the module. */
export const mcsControllersSource = `// Package controllers stands in for a module that this build needs a single name of.
package controllers

const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"
`;
