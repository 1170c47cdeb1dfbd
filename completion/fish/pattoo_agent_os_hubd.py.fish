complete -c pattoo_agent_os_hubd.py -w pattoo_agent_os_hubd
