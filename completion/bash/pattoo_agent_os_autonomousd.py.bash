. "${BASH_SOURCE[0]%.py.bash}" && complete -F _shtab_pattoo_agent_os_autonomousd_mended pattoo_agent_os_autonomousd.py
