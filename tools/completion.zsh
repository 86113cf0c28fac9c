#compdef repstore
# Completion of the repstore command for zsh: what may follow is asked of the command itself.

local -a given found
local -i i
for ((i = 2; i < CURRENT; i++)); do
	case $words[i] in
	-s | --timeout | --local | --tls-*) ((i++)) ;;
	-*) ;;
	*) given+=($words[i]) ;;
	esac
done
found=(${(f)"$($words[1] help --words -- $given[1,2] 2>/dev/null)"})
compadd -- $found
[[ $words[CURRENT] == -* ]] || _files
