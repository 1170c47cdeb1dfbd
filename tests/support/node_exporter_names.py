"""The series of node_exporter 1.5.0 that each of our keys corresponds to.

Each key is either in `TWINS` or, with the reason, in `WITHOUT_TWIN`. `LABELS` says which of its labels
name the device. Where node_exporter gives a value that is not ours, `DIFFERENT` says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KIBI: Final = 1024
_MILLI: Final = 1e-3
_MICRO: Final = 1e-6
_MEGA: Final = 1e6
_BITS: Final = 8
_SECTOR_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class Twin:
    """A series of node_exporter: `name`, with those `labels` that do not name a device.

    Ours times `factor` is its value. With `plus` or `minus`, that of these series is added or
    subtracted, and with `total`, all series of the name are summed up: then it is not the same series.
    """

    name: str
    factor: float = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    plus: str = ""
    minus: str = ""
    total: bool = False

    @property
    def is_same(self) -> bool:
        """Whether ours could have its name."""
        return not (self.plus or self.minus or self.total)


def _each(prefix: str, names: Mapping[str, str], theirs: str, factor: float = 1) -> dict[str, Twin]:
    """Twins of keys with a prefix. `{}` in `theirs` is the name there."""
    return {f"{prefix}{ours}": Twin(theirs.format(name), factor) for ours, name in names.items()}


_MODES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_GUEST_MODES: Final = {"guest": "user", "guest_nice": "nice"}


def _times(prefix: str, *, total: bool) -> dict[str, Twin]:
    name, guest = "node_cpu_seconds_total", "node_cpu_guest_seconds_total"
    ordinary = {f"{prefix}{m}": Twin(name, labels={"mode": m}, total=total) for m in _MODES}
    guests = {
        f"{prefix}{ours}": Twin(guest, labels={"mode": mode}, total=total)
        for ours, mode in _GUEST_MODES.items()
    }
    return ordinary | guests


_MEMORY: Final = {
    "total": "MemTotal",
    "available": "MemAvailable",
    "free": "MemFree",
    "active": "Active",
    "inactive": "Inactive",
    "buffers": "Buffers",
    "shared": "Shmem",
    "slab": "Slab",
}
_DISK_COUNTS: Final = {
    "read_count": "reads_completed",
    "write_count": "writes_completed",
    "read_bytes": "read_bytes",
    "write_bytes": "written_bytes",
    "read_merged_count": "reads_merged",
    "write_merged_count": "writes_merged",
}
_DISK_TIMES: Final = {
    "read_time": "read_time",
    "write_time": "write_time",
    "busy_time": "io_time",
}
_NETWORK: Final = {
    "bytes_sent": "transmit_bytes",
    "bytes_recv": "receive_bytes",
    "packets_sent": "transmit_packets",
    "packets_recv": "receive_packets",
    "errin": "receive_errs",
    "errout": "transmit_errs",
    "dropin": "receive_drop",
    "dropout": "transmit_drop",
}
_VMSTAT: Final = (
    "pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault", "oom_kill",
    "pgscan_kswapd", "pgscan_direct", "pgsteal_kswapd", "pgsteal_direct",
)  # fmt: skip
_SOCKETS: Final = {
    "used": "sockets_used",
    "tcp_inuse": "TCP_inuse",
    "tcp_orphan": "TCP_orphan",
    "tcp_tw": "TCP_tw",
    "tcp_alloc": "TCP_alloc",
    "tcp_mem": "TCP_mem",
    "udp_inuse": "UDP_inuse",
    "udp_mem": "UDP_mem",
    "raw_inuse": "RAW_inuse",
    "frag_inuse": "FRAG_inuse",
    "frag_memory": "FRAG_memory",
    "tcp6_inuse": "TCP6_inuse",
    "udp6_inuse": "UDP6_inuse",
    "raw6_inuse": "RAW6_inuse",
    "frag6_inuse": "FRAG6_inuse",
    "frag6_memory": "FRAG6_memory",
}
_PROTOCOLS: Final = {
    "tcp_established": "Tcp_CurrEstab",
    "tcp_active_opens": "Tcp_ActiveOpens",
    "tcp_passive_opens": "Tcp_PassiveOpens",
    "tcp_attempt_fails": "Tcp_AttemptFails",
    "tcp_established_resets": "Tcp_EstabResets",
    "tcp_segments_in": "Tcp_InSegs",
    "tcp_segments_out": "Tcp_OutSegs",
    "tcp_segments_again": "Tcp_RetransSegs",
    "tcp_errors_in": "Tcp_InErrs",
    "tcp_resets_out": "Tcp_OutRsts",
    "udp_datagrams_in": "Udp_InDatagrams",
    "udp_datagrams_out": "Udp_OutDatagrams",
    "udp_no_port": "Udp_NoPorts",
    "udp_errors_in": "Udp_InErrors",
    "udp_no_room_in": "Udp_RcvbufErrors",
    "udp_no_room_out": "Udp_SndbufErrors",
    "tcp_listen_overflows": "TcpExt_ListenOverflows",
    "tcp_listen_drops": "TcpExt_ListenDrops",
    "tcp_timeouts": "TcpExt_TCPTimeouts",
    "tcp_syn_again": "TcpExt_TCPSynRetrans",
    "tcp_aborts_for_memory": "TcpExt_TCPAbortOnMemory",
    "tcp_syncookies_out": "TcpExt_SyncookiesSent",
    "tcp_syncookies_bad": "TcpExt_SyncookiesFailed",
    "ip_bytes_in": "IpExt_InOctets",
    "ip_bytes_out": "IpExt_OutOctets",
}
#: Of both versions of IP. The first of a pair is the name of version 4, where they differ.
_IP: Final = {
    "packets_in": "Ip{}_InReceives",
    "packets_delivered": "Ip{}_InDelivers",
    "packets_out": "Ip{}_OutRequests",
    "header_errors_in": "Ip{}_InHdrErrors",
    "address_errors_in": "Ip{}_InAddrErrors",
    "discards_in": "Ip{}_InDiscards",
    "discards_out": "Ip{}_OutDiscards",
    "no_route_out": "Ip{}_OutNoRoutes",
    "reassembly_fails": "Ip{}_ReasmFails",
    "fragment_fails": "Ip{}_FragFails",
    "icmp_messages_in": "Icmp{}_InMsgs",
    "icmp_messages_out": "Icmp{}_OutMsgs",
    "icmp_errors_in": "Icmp{}_InErrors",
    "icmp_errors_out": "Icmp{}_OutErrors",
    "icmp_unreachable_in": "Icmp{}_InDestUnreachs",
    "icmp_unreachable_out": "Icmp{}_OutDestUnreachs",
    "icmp_time_exceeded_in": "Icmp{}_InTimeExcds",
}
_IPV6: Final = {
    "packets_forwarded": "Ip6_OutForwDatagrams",
    "truncated_in": "Ip6_InTruncatedPkts",
    "bytes_in": "Ip6_InOctets",
    "bytes_out": "Ip6_OutOctets",
    "icmp_too_big_in": "Icmp6_InPktTooBigs",
    "udp_datagrams_in": "Udp6_InDatagrams",
    "udp_datagrams_out": "Udp6_OutDatagrams",
    "udp_no_port": "Udp6_NoPorts",
    "udp_errors_in": "Udp6_InErrors",
    "udp_no_room_in": "Udp6_RcvbufErrors",
    "udp_no_room_out": "Udp6_SndbufErrors",
}
_TCP_STATES: Final = {
    "established": "established",
    "syn_sent": "syn_sent",
    "syn_received": "syn_recv",
    "fin_wait1": "fin_wait1",
    "fin_wait2": "fin_wait2",
    "time_wait": "time_wait",
    "closed": "close",
    "close_wait": "close_wait",
    "last_ack": "last_ack",
    "listen": "listen",
    "closing": "closing",
}
_PROCESS_STATES: Final = {
    "running": "R",
    "sleeping": "S",
    "waiting": "D",
    "idle": "I",
    "zombie": "Z",
}

TWINS: Final[Mapping[str, Twin]] = {
    "process_count": Twin("node_processes_pids"),
    "load_average_01min": Twin("node_load1"),
    "load_average_05min": Twin("node_load5"),
    "load_average_15min": Twin("node_load15"),
    **_times("cpu_times_", total=True),
    **_times("per_processor_times_", total=False),
    "per_processor_frequency": Twin("node_cpu_scaling_frequency_hertz", _MEGA),
    "cpu_stats_ctx_switches": Twin("node_context_switches_total"),
    "cpu_stats_interrupts": Twin("node_intr_total"),
    "cpu_stats_soft_interrupts": Twin("node_softirqs_total", total=True),
    **_each("memory_", _MEMORY, "node_memory_{}_bytes"),
    "memory_used": Twin("node_memory_MemTotal_bytes", minus="node_memory_MemAvailable_bytes"),
    "memory_cached": Twin("node_memory_Cached_bytes", plus="node_memory_SReclaimable_bytes"),
    "swap_memory_total": Twin("node_memory_SwapTotal_bytes"),
    "swap_memory_free": Twin("node_memory_SwapFree_bytes"),
    "swap_memory_used": Twin("node_memory_SwapTotal_bytes", minus="node_memory_SwapFree_bytes"),
    "disk_partition_disk_usage_total": Twin("node_filesystem_size_bytes"),
    "disk_partition_disk_usage_free": Twin("node_filesystem_avail_bytes"),
    "disk_partition_disk_usage_used": Twin(
        "node_filesystem_size_bytes", minus="node_filesystem_free_bytes"
    ),
    "inodes_total": Twin("node_filesystem_files"),
    "inodes_used": Twin("node_filesystem_files", minus="node_filesystem_files_free"),
    "mount_state_read_only": Twin("node_filesystem_readonly"),
    **_each("disk_io_", _DISK_COUNTS, "node_disk_{}_total"),
    **_each("disk_io_", _DISK_TIMES, "node_disk_{}_seconds_total", _MILLI),
    "disk_queue_in_flight": Twin("node_disk_io_now"),
    "disk_queue_weighted_time": Twin("node_disk_io_time_weighted_seconds_total", _MILLI),
    "disk_queue_discard_count": Twin("node_disk_discards_completed_total"),
    "disk_queue_discard_merged_count": Twin("node_disk_discards_merged_total"),
    "disk_queue_discard_bytes": Twin("node_disk_discarded_sectors_total", 1 / _SECTOR_BYTES),
    "disk_queue_discard_time": Twin("node_disk_discard_time_seconds_total", _MILLI),
    "disk_queue_flush_count": Twin("node_disk_flush_requests_total"),
    "disk_queue_flush_time": Twin("node_disk_flush_requests_time_seconds_total", _MILLI),
    **_each("network_io_", _NETWORK, "node_network_{}_total"),
    "network_link_up": Twin("node_network_up"),
    "network_link_speed": Twin("node_network_speed_bytes", _MEGA / _BITS),
    "network_link_mtu": Twin("node_network_mtu_bytes"),
    "link_changes_carrier": Twin("node_network_carrier_changes_total"),
    "bonding_members": Twin("node_bonding_slaves"),
    "bonding_members_up": Twin("node_bonding_active"),
    "pressure_cpu_some_total": Twin("node_pressure_cpu_waiting_seconds_total", _MICRO),
    "pressure_memory_some_total": Twin("node_pressure_memory_waiting_seconds_total", _MICRO),
    "pressure_memory_full_total": Twin("node_pressure_memory_stalled_seconds_total", _MICRO),
    "pressure_io_some_total": Twin("node_pressure_io_waiting_seconds_total", _MICRO),
    "pressure_io_full_total": Twin("node_pressure_io_stalled_seconds_total", _MICRO),
    **{f"paging_{name}": Twin(f"node_vmstat_{name}") for name in _VMSTAT},
    "raid_active": Twin("node_md_state", labels={"state": "active"}),
    "raid_disks": Twin("node_md_disks_required"),
    "raid_disks_working": Twin("node_md_disks", labels={"state": "active"}),
    "raid_disks_failed": Twin("node_md_disks", labels={"state": "failed"}),
    "raid_disks_spare": Twin("node_md_disks", labels={"state": "spare"}),
    "raid_size": Twin("node_md_blocks", 1 / _KIBI),
    "file_handles_allocated": Twin("node_filefd_allocated"),
    "file_handles_limit": Twin("node_filefd_maximum"),
    **_each("sockets_", _SOCKETS, "node_sockstat_{}"),
    **{
        f"tcp_states_{ours}": Twin("node_tcp_connection_states", labels={"state": state})
        for ours, state in _TCP_STATES.items()
    },
    **_each("protocols_", _PROTOCOLS, "node_netstat_{}"),
    **{f"ip4_{ours}": Twin(f"node_netstat_{name.format('')}") for ours, name in _IP.items()},
    "ip4_packets_forwarded": Twin("node_netstat_Ip_ForwDatagrams"),
    **{f"ip6_{ours}": Twin(f"node_netstat_{name.format('6')}") for ours, name in _IP.items()},
    **_each("ip6_", _IPV6, "node_netstat_{}"),
    "conntrack_entries": Twin("node_nf_conntrack_entries"),
    "conntrack_limit": Twin("node_nf_conntrack_entries_limit"),
    "softnet_processed": Twin("node_softnet_processed_total"),
    "softnet_dropped": Twin("node_softnet_dropped_total"),
    "softnet_squeezed": Twin("node_softnet_times_squeezed_total"),
    "temperature_current": Twin("node_hwmon_temp_celsius"),
    "temperature_high": Twin("node_hwmon_temp_max_celsius"),
    "temperature_critical": Twin("node_hwmon_temp_crit_celsius"),
    "fan_speed": Twin("node_hwmon_fan_rpm"),
    "thermal_zone_current": Twin("node_thermal_zone_temp"),
    "battery_charge": Twin("node_power_supply_capacity"),
    "battery_power": Twin("node_power_supply_power_watt"),
    "mains_online": Twin("node_power_supply_online"),
    "uptime_boot_time": Twin("node_boot_time_seconds"),
    "process_events_forks": Twin("node_forks_total"),
    "process_events_running": Twin("node_procs_running"),
    "process_events_blocked": Twin("node_procs_blocked"),
    **{
        f"process_states_{ours}": Twin("node_processes_state", labels={"state": state})
        for ours, state in _PROCESS_STATES.items()
    },
    "process_states_threads": Twin("node_processes_threads"),
}

#: It leaves out a state that nothing is in, which is 0 here.
COUNTED_BY_STATE: Final = frozenset({"node_processes_state", "node_tcp_connection_states"})

_A_SHARE: Final = "it gives no shares: Prometheus computes them"
_AVERAGE: Final = "it gives the total time, of which Prometheus computes averages"
#: Why there is no series to compare with, by key, or by the beginning of keys.
WITHOUT_TWIN: Final[Mapping[str, str]] = {
    "cpu_frequency": "it gives the frequency of each processor, not their mean",
    "cpu_times_percent_": _A_SHARE,
    "cpu_stats_syscalls": "always 0; it gives no such series",
    "memory_percent": _A_SHARE,
    "swap_memory_percent": _A_SHARE,
    "swap_memory_sin": "it gives pages: see paging_pswpin",
    "swap_memory_sout": "it gives pages: see paging_pswpout",
    "disk_partition_disk_usage_percent": _A_SHARE,
    "inodes_free": "it gives those that root may use, too",
    "inodes_percent": _A_SHARE,
    "load_per_processor_": "it gives the load of the host",
    "network_link_full_duplex": "a label of node_network_info",
    "bonding_up": "it gives the members alone",
    "bonding_link_failures": "it gives the members alone",
    **{
        f"pressure_{resource}_{who}_avg": _AVERAGE
        for resource in ("cpu", "memory", "io")
        for who in ("some", "full")
    },
    "pressure_cpu_full_total": "it leaves out that every task waited for a processor",
    "pressure_irq_": "version 1.5.0 does not know it",
    "paging_allocstall": "it gives a series for each memory zone",
    "raid_sync_percent": "it gives synchronised blocks",
    "thermal_zone_hot": "it gives no limits of thermal zones",
    "thermal_zone_critical": "it gives no limits of thermal zones",
    "battery_discharging": "a label of node_power_supply_info",
    "battery_health": "it gives what the battery holds, and what it was made for",
    "users_": "it does not read logins",
    "uptime_seconds": "it gives the time of the start: see uptime_boot_time",
    "process_states_stopped": "it gives a series for each of the kernel's two states",
    "process_states_other": "it gives a series for each state",
    "top_processes_": "it has no figures of single programs",
    "cgroup_": "it has no figures of its own cgroup",
    "agent_": "figures of this agent",
    "textfile_file_age": "it gives the time of the file's last change",
    "command_": "it runs no programs",
}


_LOOPBACK: Final = "its state is always `unknown`, which there counts as down"
_SYNC: Final = "an array that is synchronised has another state there, but it can be used"


def _same(value: str) -> str:
    return value


#: Our labels: the label of node_exporter, and how to get its value from ours.
LABELS: Final[Mapping[str, Mapping[str, Callable[[str], str]]]] = {
    "disk_partition_device": {"device": _same},
    "disk_partition_mountpoint": {"mountpoint": _same},
    "disk_partition_fstype": {"fstype": _same},
    "disk_partition_opts": {},
    "inodes_device": {"device": _same},
    "inodes_mountpoint": {"mountpoint": _same},
    "inodes_fstype": {"fstype": _same},
    "mount_state_device": {"device": _same},
    "mount_state_mountpoint": {"mountpoint": _same},
    "mount_state_fstype": {"fstype": _same},
    "disk_partition": {"device": _same},
    "disk_queue_disk": {"device": _same},
    "network_io_interface": {"device": _same},
    "network_link_interface": {"device": _same},
    "link_changes_interface": {"device": _same},
    "bonding_interface": {"master": _same},
    "per_processor_number": {"cpu": _same},
    "per_processor_clock": {"cpu": _same},
    "softnet_processor": {"cpu": _same},
    "raid_array": {"device": _same},
    # Its chips have names of another kind; `chip_name` is in node_hwmon_chip_names.
    "temperature_sensor": {
        "chip_name": lambda name: name.split(" ")[0],
        "sensor": lambda name: name.split(" ")[-1].rstrip(")"),
    },
    "fan_sensor": {
        "chip_name": lambda name: name.split(" ")[0],
        "sensor": lambda name: name.split(" ")[-1].rstrip(")"),
    },
    "thermal_zone_name": {"type": lambda name: name.rpartition(" (")[0]},
    "battery_name": {"power_supply": _same},
    "mains_name": {"power_supply": _same},
}

#: Values of it that are not ours: by the test host, our key and device, and why. `here` is the machine
#: at hand.
DIFFERENT: Final[Mapping[str, Mapping[str, str]]] = {
    "here": {"network_link_up lo": _LOOPBACK},
    "virtual": {"network_link_up lo": _LOOPBACK},
    "board": {"mains_online usb-c": "2 is a variable voltage, which is a supply, too"},
    "server": {
        "network_link_up lo": _LOOPBACK,
        "raid_active md1": _SYNC,
        "raid_active md3": _SYNC,
    },
}


def described(key: str) -> Twin | str | None:
    """Return the twin of a key, or why there is none; None for an unknown key."""
    if key in TWINS:
        return TWINS[key]
    return next((why for begin, why in WITHOUT_TWIN.items() if key.startswith(begin)), None)
