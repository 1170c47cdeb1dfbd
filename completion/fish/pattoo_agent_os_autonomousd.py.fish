complete -c pattoo_agent_os_autonomousd.py -w pattoo_agent_os_autonomousd
