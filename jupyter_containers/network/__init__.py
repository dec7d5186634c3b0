"""The networks of containers: none, host, and bridges with published ports, without a daemon.

=================  =================================================================
``model``          the values: Network, Endpoint, PublishedPort
``allocation``     pure: choice of subnets, addresses, MACs and interface names
``names``          pure: hosts, hostname, resolv.conf
``namespace``      network namespaces held by a descriptor
``bridge``         bridges and veth pairs, IPv4 and IPv6
``packet_filter``  what networks and published ports need of a packet filter
``firewall``       NAT, published ports and isolation in one nftables table
``forward_policy`` exceptions to a FORWARD chain that Docker or ufw set to DROP
``loopback``       routing from the host's loopback to a bridge, and its guard
``ports``          reservations of the host's ports
``conntrack``      deleting the tracked flows of a UDP port
``links``          requests to rtnetlink and its responses, over ``netlink``
``nft``            runs nftables scripts
``nf_tables``      reads sets and changes maps without a program
``usermode``       slirp4netns: an uplink without root
``relayed``        bridges and published ports of an ordinary user
=================  =================================================================

A container with network ``none`` gets only a namespace; with ``host`` it gets none.

Otherwise: ``allocate_endpoint`` (recorded by the caller) → ``ensure_bridge`` → ``reserve`` the
ports → ``NetworkNamespace.create`` → ``attach`` → ``publish`` → the runtime gets the namespace's
path and the monitor the reserved sockets.  When the container has ended: ``unpublish``.
"""
