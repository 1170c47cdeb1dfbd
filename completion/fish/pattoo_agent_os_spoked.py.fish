complete -c pattoo_agent_os_spoked.py -w pattoo_agent_os_spoked
