"""The networks of containers: none, host, and bridges with published ports, with no daemon.

=================  =================================================================
``model``          the values: Network, Endpoint, PublishedPort
``allocation``     pure: the next subnet, address, MAC, interface name
``names``          pure: hosts, hostname, resolv.conf
``namespace``      network namespaces kept by a descriptor
``bridge``         bridges and veth pairs, IPv4 and IPv6
``packet_filter``  what networks and published ports need of a packet filter
``firewall``       NAT, published ports and isolation in one nftables table
``forward_policy`` passing a FORWARD chain that Docker or ufw set to DROP
``loopback``       when a bridge leads from the host's loopback, and what never comes back
``ports``          holding ports of the host
``conntrack``      forgetting the flows of a UDP port
``links``          what rtnetlink is asked and answers, over ``netlink``
``nft``            running nftables scripts
``nf_tables``      asking for sets and changing maps without a program
``usermode``       slirp4netns: a way out without root
``rootless``       bridges of an ordinary user, in a namespace that containers share
=================  =================================================================

A container with network ``none`` gets a namespace and nothing else; with ``host`` it gets none.

Otherwise: ``allocate_endpoint`` (recorded by the caller) → ``ensure_bridge`` → ``reserve`` the
ports → ``NetworkNamespace.create`` → ``attach`` → ``publish`` → the runtime is given the
namespace's path and the monitor the reserved sockets.  When the container has ended: ``unpublish``.
"""
